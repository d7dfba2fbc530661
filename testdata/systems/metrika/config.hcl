# Offline conversions for Yandex.Metrica: the service answers what it made of a batch, uploads go out through /management.

limits {
  max_body = "10MiB"
}

source "conversions" {
  path    = "/webhook/offline-conversions"
  methods = ["GET", "POST"]
  respond = "target"

  target "service" {
    url = "${env("APP_URL")}/webhook/offline-conversions"
  }
}

source "metrika-api" {
  path     = "/management"
  respond  = "target"
  patience = "0s"

  target "metrika" {
    url = "${env("API_URL")}/management"
  }
}

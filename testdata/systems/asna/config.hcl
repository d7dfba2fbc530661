# ASNA, a pharmacy network: its webhooks come to the root, calls to its API go out through /v5.

source "asna" {
  path    = "/"
  methods = ["POST"]
  respond = "ack"

  target "app" {
    url = env("APP_URL")
  }
}

source "asna-api" {
  path     = "/v5"
  respond  = "target"
  patience = "0s"

  target "api" {
    url = "${env("API_URL")}/v5"
  }
}

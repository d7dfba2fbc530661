# Bitrix24: events and the pages of an app come in at /v1/bitrix, calls to the portal go out through /rest.

source "bitrix24" {
  path    = "/v1/bitrix"
  respond = "target"

  target "app" {
    url       = "${env("APP_URL")}/v1/bitrix"
    forwarded = false
  }
}

source "bitrix24-api" {
  path     = "/rest"
  respond  = "target"
  patience = "0s"

  target "portal" {
    url     = "${env("API_URL")}/rest"
    timeout = "30s"
  }
}

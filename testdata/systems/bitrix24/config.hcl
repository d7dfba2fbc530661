# Bitrix24: events come in at /v1/bitrix/events, the pages of an app beside them; calls to the portal go out through /rest.

source "bitrix24" {
  path     = "/v1/bitrix/events"
  provider = "bitrix24" # GET and HEAD of exactly this path are answered: who finds 405 there takes the URL for dead
  secrets  = [env("SECRET")] # what the events carry in auth[application_token]: a fake in tests
  respond  = "target"

  subscribe "bot" { # once; imbot.update when the public URL changes
    params = {
      rest = "${env("API_URL")}/rest"
      auth = file("portal.token")
      code = "teachbase"
      name = "Teachbase"
    }
  }

  target "app" {
    url = "${env("APP_URL")}/v1/bitrix/events"
  }
}

source "bitrix24-pages" {
  path    = "/v1/bitrix"
  respond = "target"

  target "app" {
    url = "${env("APP_URL")}/v1/bitrix"
  }
}

source "bitrix24-api" {
  path      = "/rest"
  direction = "outbound"
  respond   = "target"
  patience  = "0s"

  target "portal" {
    url     = "${env("API_URL")}/rest"
    timeout = "30s"
  }
}

# ASNA, a pharmacy network: its webhooks come to the root, signed with the key that it hands out; calls to its API go out
# through /v5, and those that it only accepts are followed to their end.

public_url = env("PUBLIC_URL")

source "asna" {
  path     = "/"
  provider = "asna"

  key_from {
    url     = "${env("API_URL")}/v5/keys/webhooks"   # https://api.asna.cloud
    headers = { "Authorization" = "Bearer ${env("SECRET")}" }
  }

  subscribe "pharmacies" {
    params = { token = env("SECRET"), api = env("API_URL") }
    each = {
      event  = ["stocks_full", "orders_updates_site"]
      client = ["BC164E55-B612-4A04-800B-34CCF10F6858", "0E238A6A-C9F7-435F-9F9E-A9257E613879"]
    }
  }

  target "app" {
    url = env("APP_URL")
  }
}

source "asna-api" {
  path      = "/v5"
  direction = "outbound"
  respond   = "target"
  patience  = "0s"

  target "api" {
    url = "${env("API_URL")}/v5"
    follow {
      until = response.status == 200 && response.json.statusId >= 2 # 0 accepted, 1 processing, 2 processed, 3 error; 204: not known
      every = "100ms"                       # in earnest: "30s"
      key   = regex("messages/([^/]+)", response.header.location)[0]
      ended_by {
        source = "asna"
        key    = json.MessageId
      }
    }
  }
}

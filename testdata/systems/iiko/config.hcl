# iiko: order events are answered at once, the app gets them behind; calls to its API go out through /api/1.

source "iiko" {
  path     = "/api/v1/webhooks/iiko"
  provider = "iiko" # the token in either field, the two answers, the names of events, what is a repeat
  secrets  = [env("SECRET")]

  dedupe {
    window = "24h"
  }

  target "app" {
    url      = "${env("APP_URL")}/webhooks"
    order_by = json.orderExternalId
    retry {
      for = "1s"
      min = "50ms"
      max = "200ms"
    }
  }
}

source "iiko-api" {
  path     = "/api/1"
  respond  = "target"
  patience = "0s"

  target "api" {
    url = "${env("API_URL")}/api/1"
  }
}

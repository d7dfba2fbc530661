# iiko: order events are answered at once, the app gets them behind; calls to its API go out through /api/1.

source "iiko" {
  path     = "/api/v1/webhooks/iiko"
  provider = "iiko" # the token in either field, the two answers, the names of events, what is a repeat
  secrets  = [env("SECRET")]
  trace    = coalesce(json.iikoOrderDetails.iikoOrderId, json[0].eventInfo.id) # the order: calls about it belong to it

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
  path      = "/api/1"
  direction = "outbound"
  trace     = json.orderId
  respond   = "target"
  patience  = "0s"

  target "api" {
    url = "${env("API_URL")}/api/1"
  }
}

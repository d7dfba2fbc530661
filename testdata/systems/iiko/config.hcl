# iiko: order events are answered at once, the app gets them behind; calls to its API go out through /api/1.

source "iiko" {
  path    = "/api/v1/webhooks/iiko"
  methods = ["POST"]
  respond = "ack"

  ack {
    when    = json == null
    status  = 200
    headers = { "Content-Type" = "application/json" }
    body    = "{\"status\": \"ignored\"}"
    deliver = false
  }

  ack {
    status  = 200
    headers = { "Content-Type" = "application/json" }
    body    = "{\"status\": \"OK\"}"
  }

  target "app" {
    url      = "${env("APP_URL")}/webhooks"
    order_by = json.orderExternalId
    retry {
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

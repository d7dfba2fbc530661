# iiko: order events are answered at once, the app gets them behind; calls to its API go out through /api/1.

source "iiko" {
  path     = "/api/v1/webhooks/iiko"
  provider = "iiko" # the token in either field, the two answers, the names of events, what is a repeat
  secrets  = [env("SECRET"), file("kazan.token")]
  trace    = coalesce(json.iikoOrderDetails.iikoOrderId, json[0].eventInfo.id) # the order: calls about it belong to it

  # An update has no number and no time: a problem that comes and goes leaves an order as it was before, and what tells of
  # that looks like a repeat. Repeats come within minutes, so nothing is held for one for longer.
  dedupe {
    window = "10m"
  }

  # Each organization has a login and a token of its own. They are registered at every start, and when the public URL changes.
  subscribe "moscow" {
    params = {
      api          = "${env("API_URL")}/api/1"
      organization = "7bc05553-4b68-44e8-b7bc-37be63c6d9e9"
      login        = file("moscow.login")
      auth_token   = env("SECRET")
    }
  }
  subscribe "kazan" {
    params = {
      api          = "${env("API_URL")}/api/1"
      organization = "0d2fa1a1-9d27-4b0e-a9a2-5d1f2f5c6f01"
      login        = file("kazan.login")
      auth_token   = file("kazan.token")
    }
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

retain {
  max_age = "30d"
}
source "iiko" {
  path       = "/api/v1/webhooks/iiko"
  provider   = "iiko"
  secrets    = [file("iiko.token")]
  rate       = "600/m"
  schema     = "order.schema.json"
  dedupe {
    window = "24h"
  }
}

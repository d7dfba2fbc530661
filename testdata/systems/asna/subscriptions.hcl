# ASNA: all events of two pharmacies, told by ASNA itself, and taken back by hooktape unsubscribe asna.

source "asna" {
  path       = "/asna"
  provider   = "asna"
  on_invalid = "record"

  subscribe "pharmacies" {
    params = {
      api   = env("API_URL")
      token = file("api.token")
    }
    each = {
      event  = ["stocks_full", "stocks_updates", "preorders_full", "preorders_updates", "orders_updates_store", "orders_updates_site"]
      client = ["BC164E55-B612-4A04-800B-34CCF10F6858", "5D3C2C7E-0B1B-4B36-9B60-7B1D0B5A6E01"]
    }
  }
}

# QTickets: the loader's calls to the API go out through here, GET bodies included. The API says 200 to everything: that
# there is nothing in an answer of orders is worth a look.

source "qtickets" {
  path      = "/api/rest/v1"
  direction = "outbound"
  respond   = "target"
  patience  = "0s"

  target "api" {
    url     = "${env("API_URL")}/api/rest/v1"
    timeout = "30s"

    expect {
      when    = length(response.json.data) > 0
      on_fail = "record"
    }
  }
}

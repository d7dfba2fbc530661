# QTickets: the loader's calls to the API go out through here, GET bodies included.

source "qtickets" {
  path     = "/api/rest/v1"
  respond  = "target"
  patience = "0s"

  target "api" {
    url     = "${env("API_URL")}/api/rest/v1"
    timeout = "30s"
  }
}

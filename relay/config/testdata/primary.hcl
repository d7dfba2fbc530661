source "a" {
  path    = "/a"
  respond = "target"
  target "one" {
    url     = "http://127.0.0.1:1"
    primary = true
    concurrency = 0
    timeout = "0s"
    id_header = "Host"
    forwarded = yes
  }
  target "two" {
    url     = "http://127.0.0.1:2"
    primary = true
    concurrency = 1.5
    timeout = "10"
    retry {
      for = "-1h"
      min = "0s"
      max = "forever"
    }
  }
  target "three" {
    url     = "http://127.0.0.1:3"
    primary = false
  }
}

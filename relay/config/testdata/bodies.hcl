source "a" {
  path            = "/a"
  schema          = "none.json"
  on_invalid_body = "refuse"
}
source "b" {
  path            = "/b"
  schema          = "bodies.hcl"
  on_invalid_body = "record"
}
source "c" {
  path            = "/c"
  on_invalid_body = "record"
  target "t" {
    url = "http://h"
    expect {
      on_fail = "again"
    }
    expect {
      when = 1
    }
    rewrite {
      verb    = "PUT"
      headers = { "Content-Length" = "1" }
    }
  }
}
source "d" {
  path = "/d"
  status {
    record = query.id
    target = "ap"
    body   = jsonencode({ state = delivery.stat })
  }
  status {
    path = "status"
  }
  target "app" {
    url = "http://h"
  }
}
source "e" {
  path = "/e"
  target "up" {
    url = "http://h/v1"
    rewrite {
      method = "P T"
      url    = "/v1/../admin"
    }
  }
  target "elsewhere" {
    rewrite {
      url = "https://other.example/v1"
    }
    url = "http://h/v1"
  }
  target "none" {
    url = "http://h/v1"
    rewrite {
      url = "v1"
    }
  }
}

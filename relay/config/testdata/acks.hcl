source "a" {
  path = "/a"
  ack {
    when    = json.type == "x" && jsn == null
    status  = "200"
    headers = { "Content-Length" = "5", "X Y" = "1", X-A = "a\nb", X-B = json.b, (method) = "x" }
  }
  ack {
    status = 204
    body   = "text"
  }
  ack {
    when = 5
  }
  ack {
    body    = upcase(json.name)
    deliver = "no"
    headers = ["x"]
  }
}

edge {
  domain = "https://hooks.example.com"
  tunnel "alice" {
    token_hash = "abc"
    patience   = "soon"
    sources    = ["orders", "oders"]
    token      = "x"
  }
  tunnel "orders" {}
}

uplink {
  edge    = "wss://hooks.example.com"
  backlog = "keep"
  copy "orders" {}
  copy "orders" { were = true }
}

source "orders" {
  path = "/orders"
  target "alice" {
    tunnel    = "alice"
    url       = "http://127.0.0.1:3000"
    forwarded = true
  }
  target "bob" {
    tunnel = "bob"
    rewrite {}
  }
}

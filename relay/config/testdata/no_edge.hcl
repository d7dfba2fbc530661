source "orders" {
  path = "/orders"
  target "alice" { tunnel = "alice" }
}

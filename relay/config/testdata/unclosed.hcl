source "a" {
  path = "/a"
  target "b" {

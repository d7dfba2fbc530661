source {
}
source "a" "b" {
  path = "/a"
  target {
    url = "http://127.0.0.1:1"
  }
  target "x" {}
}
source "c d" {
  path = ""
  respond = "target"
}
limits "x" {}
limits {
  memory = "1GiB"
}

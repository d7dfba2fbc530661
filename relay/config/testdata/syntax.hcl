listen = "127.0.0.1:7070
source "a" {
  path = "/a"
}

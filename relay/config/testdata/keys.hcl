source "a" {
  path = "/a"
  key_from {
    url     = "api.example.com"
    headers = { "X" = json.a }
    every   = "1s"
  }
}
source "b" {
  path     = "/b"
  provider = "asna"
  key_from {
    pat = "secret"
  }
  key_from {
    url = "https://api.example.com/key"
  }
}

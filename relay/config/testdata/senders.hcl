source "a" {
  path     = "/a"
  provider = "asana"
}
source "b" {
  path     = "/b"
  provider = "standard-webhooks"
}
source "c" {
  path       = "/c"
  secrets    = [env("TOKEN")]
  on_invalid = "rejct"
  tolerance  = "5m"
}
source "d" {
  path     = "/d"
  provider = "asna"
  secrets  = []
  secret   = env("TOKEN")
  allow    = ["10.0.0.1/8", "example.com"]
}
source "e" {
  path     = "/e"
  provider = "hmac"
  secrets  = [env("EMPTY"), file("empty.txt"), file("nix")]
}
source "f" {
  path     = "/f"
  provider = "hmac"
  secrets  = [file("token.txt")]
  signature {
    header    = "X Sig"
    algorithm = "md5"
    heder     = "X"
  }
  signature {
    prefix = "sha256="
  }
}
source "g" {
  path     = "/g"
  provider = "asna"
  params   = { a = 1, "b" = "", c = env("TOKEN") }
  signature {
    header = "X-Signature"
    signed = "{timestamp}.{body}.{nonsense"
  }
  dedupe {}
}
source "h" {
  path     = "/h"
  provider = bitrix24
  params   = "x"
  event    = jsn.type
}
source "i" {
  path     = "/i"
  provider = "plaid"
  secrets  = [env("TOKEN")]
}
source "j" {
  path     = "/j"
  provider = "adyen"
  secrets  = ["0a0b", env("TOKEN")]
}

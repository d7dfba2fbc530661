listen     = "7070"
inspect    = "127.0.0.1:99999"
public_url = "hooks.example.com"
source "a" {
  path = "/a?x=1"
  host = "https://hooks.example.com"
  target "one" { url = "127.0.0.1:3000" }
  target "two" { url = "http://" }
  target "three" { url = "http://user:pw@127.0.0.1/" }
  target "four" { url = "http://127.0.0.1:0/a/../b" }
  target "five" { url = "http://127.0.0.1/%2e%2e/b" }
  target "six" { url = "http://127.0.0.1/#frag" }
  target "seven" { url = "http://127.0.0.1:80:80/" }
}
source "b" { path = "/a b" }
source "c" { path = "/привет" }
source "d" { path = "/a/%2E./b" }
source "e" {
  path = "/A"
  host = "a:80"
}

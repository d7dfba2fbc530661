listen = 7070
method = ["POST"]
data = env("NOPE")
timeout = "1s"
surce "x" {}
source "asna" {
  path = "hooks"
  method = ["POST"]
  methods = ["post", GET]
  respond = "targt"
  patience = "-1s"
  max_body = "big"
  ack { body = { a = 1 } }
  ack { status = 99 }
  target "a" { url = "ftp://x" }
  target "a" { 
     url = file("nix")
     when = event
     retry { 
       min = "2m" 
       max = "1m"
 }
     retry {}
     host = original
     order_by = jsn.id
  }
}
source "b" {
 path = "/hooks/"
  respond = target
}
source "b" { path = "/hooks" }

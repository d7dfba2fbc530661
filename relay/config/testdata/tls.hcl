tls {
  cert = "no/cert.pem"
  key  = "no/key.pem"
  ca   = "ca.pem"
}
tls "a" {
  cert = "token.txt"
}
cert = "cert.pem"
tls = true
tls {
  cert = "no/cert.pem"
  key  = "no/key.pem"
}

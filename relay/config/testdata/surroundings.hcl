listen = env("UNSET")
data   = env("EMPTY")
source "a" {
  path = file("empty.txt")
  host = file("no/such")
  methods = [file("binary.bin")]
  patience = "${env("TOKEN")}"
  target "x" {
    url  = "ftp://${env("TOKEN")}"
    when = header.x-token == env("TOKEN") && header.x-token > parseint(env("TOKEN"), 10)
    host = env(method)
    id_header = file("token.txt")
    order_by = lookup({}, env("TOKEN"))
  }
}

listen = "127.0.0.1:7070"
source "self" {
  path = "/self"
  target "app" {
    url = "http://localhost:7070/self/orders"
  }
  target "elsewhere" {
    url = "http://localhost:7071/self"
  }
}
source "there" {
  path = "/there"
  target "back" {
    url = "http://127.0.0.1:7070/back"
  }
}
source "back" {
  path = "/back"
  target "there" {
    url = "http://[::1]:7070/there"
  }
  target "when" {
    url  = "http://127.0.0.1:7070/back"
    when = header.x-again == null
  }
}
source "onward" {
  path = "/self/more"
  target "there" {
    url = "http://127.0.0.1:7070/there"
  }
  target "nobody" {
    url = "http://127.0.0.1:7070/nobody"
  }
}

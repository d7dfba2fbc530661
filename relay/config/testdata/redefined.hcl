listen = "127.0.0.1:1" inspect = "127.0.0.1:2"
data = "a"
data = "b"
"quoted" = 1
source "a" { path = "/a" } source "b" { path = "/b" }
source "c" = 5
list = [1 2]

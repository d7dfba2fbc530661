limits {
  memory   = "1KiB"
  head     = 5
  max_body = 0
}
retain {
  max_age  = "0d"
  max_size = "1B"
}
source "a" {
  path     = "/a"
  patience = 5
  target "t" {
    url  = "http://h"
    hold = ""
    retry {
      min = "90m"
      max = "1h"
    }
  }
}

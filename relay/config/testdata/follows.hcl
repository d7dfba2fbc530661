source "a" {
  path = "/a"
  target "t" {
    url = "http://h"
    follow {
      every = "0s"
      ended_by {
        source = "b"
        key    = json.id
      }
    }
    follow {
      until = response.json.done
      ended_by {
        source = "none"
      }
    }
  }
}

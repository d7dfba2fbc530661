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

source "late" {
  path  = "/late"
  event = response.json.type
  ack {
    when = delivery.state == "delivered"
  }
  status {
    record = query.id
    body   = "${delivery.state} ${response.status}"
  }
  target "t" {
    url      = "http://h"
    when     = response.status == 200 && json.a
    order_by = length(response.json.data)
    expect {
      when = response.status == 200 && delivery.attempts < 2
    }
    follow {
      until = response.status == 200
      key   = response.json.id
      ended_by {
        source = "lat"
        key    = response.json.id
      }
    }
  }
}

# Every key that hooktape knows, with its value when it is not given. Keys that have no such value are commented out, with
# an example. Try a config file with: hooktape check --config FILE
#
# Durations are "500ms", "10s", "1h30m" or "7d"; sizes "512KiB", "32MiB" or "10MB".
# Secrets need not stand here: env("NAME") reads an environment variable and file("NAME") a file beside this one, which is
# watched. Neither may be empty.

listen  = "127.0.0.1:7070"                    # where requests come in; ":7070" is every address of this machine
inspect = "127.0.0.1:7071"                    # health and metrics, for this machine only
data    = "hooktape.db"                       # the tape; beside this file, unless the path is absolute
# public_url = "https://hooks.example.com"    # what senders see, when a proxy or tunnel stands before hooktape

# mask = ["phone", "X-Customer-Id"]           # hidden in lists, pages and logs like tokens and passwords: the values of these header
                                              # fields, parameters and keys of bodies, at any depth and in any style (customerId, customer_id)

# trusted_proxies = ["127.0.0.1"]             # addresses and networks whose X-Forwarded-For and -Proto say who sent a request

# tls {                                       # not given: plain HTTP; what stands before hooktape often speaks TLS for it
#   cert = "cert.pem"                         # the certificate and those it rests on, in PEM; beside this file
#   key  = "key.pem"                          # its private key; both are taken up again when they change
#   inspect = false                           # true: the inspect address speaks TLS too
#   acme {                                    # in the place of cert and key: a CA gives them, whose terms are accepted by this block
#     names     = ["hooks.example.com"]       # a certificate for each, and for nothing else. No wildcards: an edge's tunnels are at
#                                             # https://hooks.example.com/t/NAME, and at NAME.hooks.example.com where that is listed
#     email     = "ops@example.com"           # where the CA writes to; not given: nowhere
#     directory = "https://acme-v02.api.letsencrypt.org/directory"
#     cache     = "hooktape.db.acme"          # the folder of keys and certificates; not given: beside data, with its name and .acme
#     http      = ":80"                       # where the CA may ask by HTTP-01, which comes to port 80; not given: it may not, and asks
#   }                                         # at listen alone, by TLS-ALPN-01, which comes to port 443
# }

# edge {                                      # this agent is the public end of tunnels: hooktape http PORT --edge URL on a laptop opens one
#   domain = "hooks.example.com"              # alice gets what comes to alice.hooks.example.com, and to hooks.example.com/t/alice
#   tunnel "alice" {                          # not needed for a name that has a token: hooktape token new NAME
#     token_hash = "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"   # as hooktape token new --json prints it
#     respond    = "target"                   # as in a source
#     patience   = "10s"
#     sources    = ["orders"]                 # those that it may have copies of
#   }
# }

# uplink {                                    # this agent is the far end of a tunnel: requests come through the edge, as well as to listen
#   edge      = "https://hooks.example.com"
#   token     = "t0ken"                       # better file("...") or env("..."): as hooktape token new gave it at the edge
#   take_over = false                         # true: at its start also when another agent has the tunnel, which then loses it
#   backlog   = "deliver"                     # what has waited at the edge; "hold": it goes on waiting, "drop": nobody wants it
#   copy "orders" {                           # of a source of the edge: its requests come here, too
#     where = json.test                       # only those for which this holds; not given: all
#   }
# }

limits {
  max_body    = "32MiB"                       # larger bodies get 413; a source can set its own
  memory      = "256MiB"                      # of all requests under way: half for heads, small bodies and responses (an eighth for
                                              # heads over 4 KiB that are not whole yet), a quarter for larger bodies on their way to
                                              # the disk, a quarter for those that conditions and keys look into (one of more than an
                                              # eighth of memory alone, and it takes twice its size); senders wait their turn, after ten
                                              # seconds they get 503
  connections = 1024                          # open at once; the longest idle is closed first, then new ones wait
  head        = "64KiB"                       # of a request; larger ones get 431
}

# The tape is bounded: the oldest records go, except those with pending deliveries, which may take half of max_size beyond it;
# then new requests get 503 until some are delivered. Refused requests and handshakes have 5 % of max_size for themselves.
retain {
  max_age  = "30d"                            # since they came
  max_size = "10GiB"                          # that the tape takes in its file
}

# A source is where requests come in: one for each sender. Its name stands in lists, logs and on the tape.
source "orders" {
  path     = "/webhooks/orders"               # this path and all below it; of several sources the longest path wins
  respond  = "ack"                            # hooktape answers at once and delivers; "target": the target's response is the answer
  patience = "5s"                             # respond = "target": how long the app may be down before hooktape answers and delivers later; "0s": never
  # host     = "hooks.example.com"            # only requests to this host; not given: to any
  # methods  = ["POST"]                       # others get 405 and are recorded; not given: all
  # max_body = "1MiB"                         # not given: that of limits
  # rate     = "600/m"                        # more get 429 with Retry-After and are recorded, not delivered; "/s" and "/h" too; not given: any number

  # Who sends: how requests are signed, shake hands and name their events, how they are answered and which are the same. Keys
  # of this source win over what the provider says.
  # provider   = "hmac"                       # hooktape trigger --list shows them all; "hmac": as the signature block says; not given: nothing is checked
  # secrets    = ["s3cret"]                   # better file("...") or env("..."): any of them verifies, the first one signs replays
  on_invalid   = "reject"                     # requests that fail the check get 401 and are recorded; "record": they are taken, marked as not verified
  # tolerance  = "5m"                         # how far their time may be from ours; not given: what the provider says
  # params     = { region = "eu" }            # texts that the provider needs; in conditions and keys they are params.region
  # event      = json.type                    # the name of the event, or a list of names; not given: what the provider says
  # allow      = ["10.0.0.0/8"]               # addresses and networks that requests may come from; others get 403 and are recorded
  # public_url = "https://hooks.example.com"  # not given: that of above

  # key_from {                                # the provider hands its secret out: asked at start, and again when checks begin to fail
  #   url     = "https://api.example.com/keys/webhooks"
  #   headers = { "Authorization" = "Bearer ${env("TOKEN")}" }
  #   path    = "secret"                      # where it stands in the answer, which is JSON
  #   every   = "24h"                         # how often to ask though no check fails; while it can't be had, requests get 503
  # }

  # A template takes no requests itself. A source that is made at run time (hooktape source create NAME --provider P, or
  # --like TEMPLATE) is like it, with an id, a secret and params of its own: its path is the template's and its id, and in
  # expressions params.id is the id.
  template     = false

  # signature {                               # provider = "hmac": how requests are signed
  #   header    = "X-Signature"               # the field that has the signature
  #   prefix    = "sha256="                   # in front of it; not given: nothing
  #   algorithm = "sha256"                    # or "sha1", "sha384", "sha512"
  #   encoding  = "hex"                       # or "base64"
  #   signed    = "{timestamp}.{body}"        # what is signed; not given: "{body}"; also {id}, {method}, {url}, {target}, {X-Name}
  #   timestamp = "X-Timestamp"               # the field that has the time, in Unix seconds; not given: none
  #   id        = "X-Id"                      # the field that has the id of the delivery; not given: none
  # }

  direction    = "inbound"                    # "outbound": the app's own calls to others; they are tied to the record that made it call
  # trace      = json.orderId                 # what makes records belong together; not given: traceparent, X-Request-Id and their like

  # schema          = "order.schema.json"     # a JSON Schema that bodies have to fit, beside this file; not given: any will do
  # on_invalid_body = "reject"                # 400 with what is wrong in which field; "record": they are taken, and marked

  # Senders send again what they got no answer to in time. Requests with the same key are the same: the first is delivered,
  # the others are recorded and answered like it, if it got a 2xx. Without this block each is delivered. Of a source that
  # checks who sends only verified requests count.
  dedupe {
    key    = json.eventId                     # null or empty: this request is one of its own; not given: the provider's
    window = "24h"                            # for how long the first is remembered: short where the same may be sent again and meant
  }

  # Acks are the answers of hooktape's own: at once with respond = "ack", and when it takes over for a target that is down.
  # The first whose "when" holds is given; when none does: status 200, no body, and the record is delivered.
  ack {
    when    = json == null                    # a condition on the request, here: the body is not JSON
    status  = 200
    # headers = { "Content-Type" = "application/json" }
    body    = "{\"status\": \"ignored\"}"     # not given: empty; may be computed: "{\"id\": \"${id}\"}"
    deliver = false                           # not given: true
  }

  # status {                                  # a GET of the source's path with this one behind it asks what became of a record
  #   path    = "/status"
  #   record  = query.batch_id                # the id of the record, which an ack can tell: "{\"batch_id\": \"${id}\"}"; not found: 404
  #   target  = "app"                         # whose delivery is told of, or the one that follows what it promised; not given: the first target's
  #   headers = { "Cache-Control" = "no-store" }
  #   body    = jsonencode({ state = delivery.state, error = delivery.error, upload = response.json.id })   # over that record, its delivery, the last response
  # }

  # A target is where the source's requests go. There may be several, or none: then requests are only recorded.
  target "app" {
    url         = "http://127.0.0.1:3000/webhooks"   # its path takes the place of the source's; the rest of the path goes on
    timeout     = "10s"                       # for one attempt
    concurrency = 8                           # attempts at once
    host        = "target"                    # the Host field is that of url; "original": as it was received
    forwarded   = false                       # true: X-Forwarded-For, -Proto and -Host are added
    primary     = false                       # respond = "target": true for the one that answers; not given: the first
    # when      = event == "UPDATE"           # only records for which this holds; not given: all
    # order_by  = json.orderId                # records of one key go one after another; not given: in no order
    # id_header = "X-Hooktape-Id"             # the field that the record's id is sent in, or that at the edge which it came through; not given: none
    hold        = "168h"                      # how long deliveries wait while the target is away; then they expire
    # max_pending = 100000                    # how many may wait at most; not given: any number
    # full      = "reject"                    # beyond max_pending: the sender gets 503; "drop": the oldest that waits expires

    # rewrite {                               # what the target gets in the place of what was recorded; a key not given stays byte for byte
    #   method  = "PUT"
    #   url     = "/import/${urlencode(json.shop)}"   # on the host of the target's url: a whole URL, or path and query; not given: as without rewrite
    #   headers = { "Authorization" = "OAuth ${env("TOKEN")}", "X-Debug" = null }   # in the place of those of their name; null: left out
    #   body    = csv([["id", "time"], [json.id, unixtime(json.time)]])   # Content-Length is set right; null: empty
    # }

    # expect {                                # what a 2xx response is to be like, when the status alone does not say that all is well
    #   when    = length(response.json.data) > 0   # over the request and response.status, header, headers, body and json
    #   on_fail = "retry"                     # the attempt has failed; "record": the delivery is done, and it is listed and counted as unexpected
    # }

    # follow {                                # for targets that answer 202 and do the work later: they are asked until it is done
    #   when    = response.status == 202      # what is followed; not given: 202
    #   url     = response.header.location    # where to ask, on the host of the target's url; not given: Location
    #   headers = { "Accept" = "application/json" }   # beside the Authorization of the call
    #   until   = response.json.statusId >= 2 # over an answer: the outcome has come
    #   every   = "30s"                       # about how often to ask
    #   for     = "24h"                       # then it is given up
    #   key     = response.json.id            # what a webhook says that tells of the outcome too
    #   ended_by {
    #     source = "orders"                   # through which it comes
    #     key    = json.messageId
    #   }
    # }

    retry {                                   # of what could not be delivered
      for = "72h"                             # since it was recorded, or its target came back; "0s": one attempt only
      min = "1s"                              # about the first wait; it doubles from there
      max = "10m"                             # the longest wait
    }
  }

  # target "alice" {                          # a tunnel in the place of a url: it gets a copy of each request, and answers if it is primary
  #   tunnel = "alice"                        # of the edge; not given, timeout is "6m" and concurrency 1
  # }

  # Many providers are told by calls where to send. Each block is made known to the provider of this source when the agent
  # starts, and again when the public URL changes; hooktape source list says how it is, and what was called is on the tape.
  # Providers that are known here need their params alone; for any other the calls are given. In them params.url is the URL
  # to be called, params.secret the first secret, params.access what access found in the response to login, and
  # params.subscription what id found in that to create.
  # subscribe "shop" {                        # any name
  #   params = { token = "t0ken" }            # texts for the calls, beside those of this source; better env("...")
  #   each   = { topic = ["paid", "sent"] }   # the same for each combination of these; not given: once
  #   path   = "/webhooks/orders/paid"        # of the URL to be called; not given: that of this source
  #   always = false                          # true: the provider is told at every start, also when it knows the URL
  #   login {                                 # made before the other calls; not given: no call
  #     url  = "https://api.example.com/login"
  #     body = jsonencode({ key = params.token })
  #   }
  #   access = response.json.token
  #   create {
  #     method  = "POST"
  #     url     = "https://api.example.com/webhooks/${params.topic}"
  #     headers = { "Authorization" = "Bearer ${params.access}", "Content-Type" = "application/json" }
  #     body    = jsonencode({ url = params.url, secret = params.secret })   # not given: empty
  #     status  = [200, 201]                  # of a success; not given: any 2xx
  #     ok      = response.json.error == null # what else is true of a success
  #   }
  #   exists = response.status == 409         # create was refused since there is one already: it is updated
  #   id     = response.json.id               # by which the other calls name it
  #   update {                                # not given: it is created again
  #     method = "PUT"
  #     url    = "https://api.example.com/webhooks/${params.topic}/${params.subscription}"
  #     body   = jsonencode({ url = params.url })
  #   }
  #   delete {
  #     method = "DELETE"
  #     url    = "https://api.example.com/webhooks/${params.topic}/${params.subscription}"
  #   }
  # }
}

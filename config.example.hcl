# Every key that hooktape knows, with its default value. Keys without a default are commented out and have an example value.
# Check a config file with: hooktape check --config FILE
#
# Durations are "500ms", "10s", "1h30m" or "7d"; sizes "512KiB", "32MiB" or "10MB".
# Secrets need not be written here: env("NAME") reads an environment variable, file("NAME") a file beside this one, which is
# watched. Neither may be empty.

listen  = "127.0.0.1:7070"                    # where requests are received; ":7070" listens on all addresses of this machine
inspect = "127.0.0.1:7071"                    # health checks and metrics, for this machine only
data    = "hooktape.db"                       # the tape; relative to this file's folder, unless the path is absolute
# public_url = "https://hooks.example.com"    # the URL that senders see, if a proxy or tunnel is in front of hooktape

# mask = ["phone", "X-Customer-Id"]           # masked in lists, pages and logs like tokens and passwords: the values of these header
                                              # fields, parameters and body keys, at any depth and in any style (customerId, customer_id)

# trusted_proxies = ["127.0.0.1"]             # addresses and networks whose X-Forwarded-For and -Proto are believed

# tls {                                       # default: plain HTTP; often a proxy in front of hooktape terminates TLS
#   cert = "cert.pem"                         # the certificate and its chain, in PEM; relative to this file's folder
#   key  = "key.pem"                          # its private key; both files are reloaded when they change
#   inspect = false                           # true: the inspect address speaks TLS too
#   acme {                                    # instead of cert and key: certificates from a CA, whose terms this block accepts
#     names     = ["hooks.example.com"]       # one certificate for each, and for nothing else. No wildcards: an edge's tunnels are at
#                                             # https://hooks.example.com/t/NAME, and at NAME.hooks.example.com if that is listed
#     email     = "ops@example.com"           # where the CA sends mail; default: nowhere
#     directory = "https://acme-v02.api.letsencrypt.org/directory"
#     cache     = "hooktape.db.acme"          # folder for keys and certificates; default: the path of data plus .acme
#     http      = ":80"                       # where the CA may validate by HTTP-01, on port 80; default: it can't, and validates only
#   }                                         # at listen, by TLS-ALPN-01, on port 443
# }

# edge {                                      # makes this agent the public end of tunnels: hooktape http PORT --edge URL on a laptop opens one
#   domain = "hooks.example.com"              # alice gets the requests to alice.hooks.example.com and to hooks.example.com/t/alice
#   tunnel "alice" {                          # not needed for a name with a token made by hooktape token new NAME
#     token_hash = "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"   # as hooktape token new --json prints it
#     respond    = "target"                   # as in a source
#     patience   = "10s"
#     sources    = ["orders"]                 # sources that it may get copies of
#   }
# }

# uplink {                                    # makes this agent the far end of a tunnel: requests arrive through the edge as well as at listen
#   edge      = "https://hooks.example.com"
#   token     = "t0ken"                       # better file("...") or env("..."): as printed by hooktape token new at the edge
#   take_over = false                         # true: on start, takes the tunnel from another agent that has it
#   backlog   = "deliver"                     # requests that waited at the edge; "hold": leave them there, "drop": discard them
#   copy "orders" {                           # also get copies of the requests to this source of the edge
#     where = json.test                       # only those that match this; default: all
#   }
# }

limits {
  max_body    = "32MiB"                       # larger bodies get 413; a source can set its own limit
  memory      = "256MiB"                      # for all requests under way: half for heads, small bodies and responses (an eighth for
                                              # incomplete heads over 4 KiB), a quarter for larger bodies on their way to the disk, a
                                              # quarter for those that conditions and keys read (one larger than an eighth of memory
                                              # only by itself, and counted twice); senders wait for their turn, and get 503 after ten
                                              # seconds
  connections = 1024                          # open at once; beyond this the longest idle one is closed, else new ones wait
  head        = "64KiB"                       # of a request's head; larger ones get 431
}

# The tape is bounded: the oldest records are deleted first, except those with pending deliveries, which may exceed max_size by
# half; then new requests get 503 until some are delivered. Refused requests and handshakes have a budget of 5 % of max_size.
retain {
  max_age  = "30d"                            # since they arrived
  max_size = "10GiB"                          # used space in the tape's file
}

# A source is where requests come in, one for each sender. Its name appears in lists, in logs and on the tape.
source "orders" {
  path     = "/webhooks/orders"               # this path and everything below it; among several sources the longest path wins
  respond  = "ack"                            # hooktape answers at once and delivers afterwards; "target": the target's response is the answer
  patience = "5s"                             # respond = "target": how long the app may be down before hooktape answers and delivers later; "0s": never
  # host     = "hooks.example.com"            # only requests to this host; default: any
  # methods  = ["POST"]                       # others get 405 and are recorded; default: all
  # max_body = "1MiB"                         # default: that of limits
  # rate     = "600/m"                        # more get 429 with Retry-After and are recorded, not delivered; also "/s", "/h"; default: no limit

  # The provider defines how requests are signed, shake hands and name their events, how they are answered, and which are
  # duplicates. Keys of this source win over the provider's.
  # provider   = "hmac"                       # hooktape trigger --list shows them all; "hmac": as the signature block says; default: nothing is checked
  # secrets    = ["s3cret"]                   # better file("...") or env("..."): each of them verifies, the first one signs replays
  on_invalid   = "reject"                     # requests that fail the check get 401 and are recorded; "record": they are accepted, marked unverified
  # tolerance  = "5m"                         # how far the time of a signature may differ from ours; default: the provider's
  # params     = { region = "eu" }            # strings that the provider needs; in expressions this one is params.region
  # event      = json.type                    # the name of the event, or a list of names; default: the provider's
  # allow      = ["10.0.0.0/8"]               # addresses and networks that requests may come from; others get 403 and are recorded
  # public_url = "https://hooks.example.com"  # default: the one above

  # key_from {                                # fetches the secret from the provider: at start, and again when checks begin to fail
  #   url     = "https://api.example.com/keys/webhooks"
  #   headers = { "Authorization" = "Bearer ${env("TOKEN")}" }
  #   path    = "secret"                      # where the secret is in the response, which is JSON
  #   every   = "24h"                         # how often to fetch even if no check fails; while it can't be fetched, requests get 503
  # }

  # A template takes no requests itself. A source created at run time (hooktape source create NAME --provider P, or
  # --like TEMPLATE) is configured like it, with an id, a secret and params of its own: its path is the template's path plus
  # the id, and in expressions params.id is the id.
  template     = false

  # signature {                               # for provider = "hmac": how requests are signed
  #   header    = "X-Signature"               # the header field with the signature
  #   prefix    = "sha256="                   # in front of it; default: nothing
  #   algorithm = "sha256"                    # or "sha1", "sha384", "sha512"
  #   encoding  = "hex"                       # or "base64"
  #   signed    = "{timestamp}.{body}"        # what is signed; default: "{body}"; also {id}, {method}, {url}, {target}, {X-Name}
  #   timestamp = "X-Timestamp"               # the field with the time, in Unix seconds; default: none
  #   id        = "X-Id"                      # the field with the id of the delivery; default: none
  # }

  direction    = "inbound"                    # "outbound": the app's own calls to other services, linked to the record that caused them
  # trace      = json.orderId                 # records with the same value are linked; default: traceparent, X-Request-Id and the like

  # schema          = "order.schema.json"     # JSON Schema that bodies must match, relative to this file's folder; default: anything goes
  # on_invalid_body = "reject"                # 400, naming each wrong field; "record": they are accepted, and marked

  # Senders retry requests that were not answered in time. Requests with the same key are duplicates: the first is delivered,
  # the others are recorded and answered like it, if it got a 2xx. Without this block every request is delivered. If the source
  # checks signatures, only verified requests count.
  dedupe {
    key    = json.eventId                     # null or empty: this request is no duplicate; default: the provider's
    window = "24h"                            # how long the first is remembered: short if the same request may be repeated on purpose
  }

  # Acks are hooktape's own answers: sent at once with respond = "ack", and when it takes over for a target that is down.
  # The first one whose "when" holds is sent; if none does: status 200, no body, and the record is delivered.
  ack {
    when    = json == null                    # a condition on the request; here: the body is not JSON
    status  = 200
    # headers = { "Content-Type" = "application/json" }
    body    = "{\"status\": \"ignored\"}"     # default: empty; may be computed: "{\"id\": \"${id}\"}"
    deliver = false                           # default: true
  }

  # status {                                  # a GET of the source's path plus this one asks what became of a record
  #   path    = "/status"
  #   record  = query.batch_id                # the id of the record, which an ack can contain: "{\"batch_id\": \"${id}\"}"; not found: 404
  #   target  = "app"                         # whose delivery is meant, or the follow of its promise; default: the first target's
  #   headers = { "Cache-Control" = "no-store" }
  #   body    = jsonencode({ state = delivery.state, error = delivery.error, upload = response.json.id })   # sees that record, its delivery and the last response
  # }

  # A target is where the source's requests go. There may be several, or none: then requests are only recorded.
  target "app" {
    url         = "http://127.0.0.1:3000/webhooks"   # its path replaces the source's; the rest of the path is kept
    timeout     = "10s"                       # of one attempt
    concurrency = 8                           # attempts at once
    host        = "target"                    # the Host field is url's; "original": as it was received
    forwarded   = false                       # true: adds X-Forwarded-For, -Proto and -Host
    primary     = false                       # for respond = "target": true for the one that answers; default: the first
    # when      = event == "UPDATE"           # only records that match this; default: all
    # order_by  = json.orderId                # records with the same key go one after another; default: in no order
    # id_header = "X-Hooktape-Id"             # field to send the record's id in (its id at the edge, if it came through one); default: none
    hold        = "168h"                      # how long deliveries wait while the target is away; then they expire
    # max_pending = 100000                    # how many may wait at most; default: no limit
    # full      = "reject"                    # beyond max_pending: the sender gets 503; "drop": the oldest waiting one expires

    # rewrite {                               # changes what the target gets; what no key names stays byte for byte
    #   method  = "PUT"
    #   url     = "/import/${urlencode(json.shop)}"   # on the host of the target's url: a whole URL, or path and query; default: as without rewrite
    #   headers = { "Authorization" = "OAuth ${env("TOKEN")}", "X-Debug" = null }   # replace the fields of the same name; null: removed
    #   body    = csv([["id", "time"], [json.id, unixtime(json.time)]])   # Content-Length is set to match; null: empty
    # }

    # expect {                                # what a 2xx response must be like, if the status alone does not mean success
    #   when    = length(response.json.data) > 0   # sees the request, and response.status, header, headers, body and json
    #   on_fail = "retry"                     # counts the attempt as failed; "record": the delivery is done, and listed and counted as unexpected
    # }

    # follow {                                # for targets that answer 202 and do the work later: asks them until it is done
    #   when    = response.status == 202      # which responses are followed; default: 202
    #   url     = response.header.location    # where to ask, on the host of the target's url; default: Location
    #   headers = { "Accept" = "application/json" }   # in addition to the call's Authorization
    #   until   = response.json.statusId >= 2 # condition on a response: the work is done
    #   every   = "30s"                       # about how often to ask
    #   for     = "24h"                       # then it gives up
    #   key     = response.json.id            # if a webhook also reports the outcome: what the key of ended_by must be equal to
    #   ended_by {
    #     source = "orders"                   # where that webhook arrives
    #     key    = json.messageId
    #   }
    # }

    retry {                                   # of failed deliveries
      for = "72h"                             # counted from recording, or from when the target came back; "0s": one attempt only
      min = "1s"                              # roughly the first wait; it doubles each time
      max = "10m"                             # the longest wait
    }
  }

  # target "alice" {                          # a tunnel instead of a url: it gets a copy of each request, and answers if it is primary
  #   tunnel = "alice"                        # of the edge; timeout then defaults to "6m" and concurrency to 1
  # }

  # Many providers are told through their API where to send webhooks. Each block is a subscription at this source's provider,
  # made when the agent starts and again when the public URL changes; hooktape source list shows its state, and the calls are
  # on the tape. Providers with built-in calls only need params; for any other, the calls are given here. In them, params.url
  # is the URL to send to, params.secret the first secret, params.access the value of access in the response to login, and
  # params.subscription the value of id in the response to create.
  # subscribe "shop" {                        # any name
  #   params = { token = "t0ken" }            # strings for the calls, in addition to the source's; better env("...")
  #   each   = { topic = ["paid", "sent"] }   # one subscription for each combination of these; default: one in all
  #   path   = "/webhooks/orders/paid"        # of the URL to send to; default: that of this source
  #   always = false                          # true: subscribes at every start, even if the provider knows the URL
  #   login {                                 # made before the other calls; default: none
  #     url  = "https://api.example.com/login"
  #     body = jsonencode({ key = params.token })
  #   }
  #   access = response.json.token
  #   create {
  #     method  = "POST"
  #     url     = "https://api.example.com/webhooks/${params.topic}"
  #     headers = { "Authorization" = "Bearer ${params.access}", "Content-Type" = "application/json" }
  #     body    = jsonencode({ url = params.url, secret = params.secret })   # default: empty
  #     status  = [200, 201]                  # of a success; default: any 2xx
  #     ok      = response.json.error == null # what else must hold for a success
  #   }
  #   exists = response.status == 409         # create was refused because there is one already: update it
  #   id     = response.json.id               # how the other calls name it
  #   update {                                # default: create again
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

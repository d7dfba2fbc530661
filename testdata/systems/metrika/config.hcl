# Offline conversions for Yandex.Metrica. Each customer has a source of their own, made at run time:
#
#   hooktape source create crm --provider metrika --param counter_id=12345678 --param-file token=metrika.token
#
# It takes batches at its URL, and tells what became of a batch at URL/status?batch_id=.

public_url = "https://api.example.com"

source "offline-conversions" {
  path     = "/webhook/offline-conversions"
  provider = "metrika"                     # X-Webhook-Secret; wrong: 403. The batch's id is the record's
  template = true
  max_body = "10MB"
  rate     = "60/m"
  schema   = "conversions.schema.json"     # at most 1000; what does not fit: 400, with the fields
  params   = { zone = "Europe/Moscow" }    # of date_time, which says none

  status {
    record = query.batch_id
    body = jsonencode({
      batch_id = id
      status = (
        delivery.state != "pending" && delivery.state != "delivered" ? "error" :
        delivery.target == "upload" ? (delivery.state == "delivered" ? "uploaded" : delivery.attempts > 0 ? "pending" : "accepted") :
        delivery.state == "pending" ? (delivery.attempts > 0 ? "processing" : "uploaded") :
        response.json.uploading.status == "PROCESSED" ? "completed" : "error"
      )
      webhook_id        = params.id
      counter_id        = tonumber(params.counter_id)
      created_at        = time
      updated_at        = delivery.updated
      metrika_upload_id = response.json.uploading.id == null ? null : tostring(response.json.uploading.id)
      total             = length(json.conversions)
      processed         = response.json.uploading.status == "PROCESSED" ? response.json.uploading.line_quantity : 0
      errors = (
        response.json.message != null ? [response.json.message] :
        response.json.uploading.status == "LINKAGE_FAILURE" ? ["none of the conversions could be tied to a visit"] :
        delivery.target == "upload" && delivery.error != null ? [delivery.error] : null
      )
    })
  }

  target "upload" {
    url     = env("API_URL")               # https://api-metrika.yandex.net
    timeout = "30s"
    rewrite {
      method = "POST"
      url    = "/management/v1/counter/${urlencode(params.counter_id)}/offline_conversions/upload?comment=${id}"
      headers = {
        "Authorization"    = "OAuth ${params.token}"
        "Content-Type"     = "multipart/form-data; boundary=hooktape-${id}"
        "X-Webhook-Secret" = null
      }
      body = multipart("hooktape-${id}", [{
        name  = "file", filename = "conversions.csv", type = "text/csv"
        value = csv(concat([["ClientId", "UserId", "Yclid", "Target", "DateTime", "Price", "Currency", "PurchaseId"]], [
          for c in json.conversions :
          [c.client_id, c.user_id, c.yclid, c.target, unixtime(c.date_time, params.zone), c.price, c.currency, c.purchase_id]
        ]))
      }])
    }
    expect {
      when = response.json.uploading.id != null
    }
    follow {                               # the upload is worked on for up to two hours
      when    = response.status == 200
      url     = "/management/v1/counter/${urlencode(params.counter_id)}/offline_conversions/uploading/${response.json.uploading.id}"
      headers = { "Authorization" = "OAuth ${params.token}" }
      until   = contains(["PROCESSED", "LINKAGE_FAILURE"], response.json.uploading.status)
      every   = "200ms"                    # better "1m"
    }
    retry {
      min = "100ms"
      max = "500ms"
    }
  }
}

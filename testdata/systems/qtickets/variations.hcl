# What may make the API say 200 and nothing, each as a variation of the loader's call. The table tells which one it is.

variation "as in the code" {}

# "payed" is missing among the filters
variation "payed" {
  add = { "json.where[2]" = { column = "payed", value = 1 } }
}

# the time is local, and UTC is meant
variation "UTC" {
  set = { "json.where[1].value" = "2025-10-12T04:00:00" }
}

# the orders were made before that time, and payed behind it
variation "updated_at" {
  set = { "json.where[1].column" = "updated_at" }
}

# the token has not the scope, or is of another organization
variation "other token" {
  set = { "header.authorization" = "Bearer fakeqticketstokenother00000000000" }
}

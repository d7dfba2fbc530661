source "a" {
  path = <<END
/a
}

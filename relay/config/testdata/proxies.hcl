trusted_proxies = ["10.0.0.1/8", "localhost", "10.0.0.0/8", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.0/33", "fe80::%eth0/10", 5, "::1", ""]
source "a" {
  path            = "/a"
  trusted_proxies = ["10.0.0.1"]
}
trusted_proxy = []

package main

import "testing"

// A name server that never answers is not asked with -n, and does not keep the
// table back.
func TestNamesNeverHold(t *testing.T) {
	host := newHost(t)
	host.Route("default", "10.1.0.2")
	host.Route("10.20.0.0/16", "10.2.0.7")
	host.Route("fd00:20::/64", "fd00:2::7")
	host.CheckNames("route", []string{"-n", "-6 -n", "-een"}, []string{"", "-6", "-e"})
}

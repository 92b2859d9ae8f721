package main

import "testing"

// A name server that never answers is not asked with -n, and does not keep the
// tables back.
func TestNamesNeverHold(t *testing.T) {
	host := newHost(t)
	host.Hosts("127.0.0.1 localhost\n")
	host.Route("10.20.0.0/16", "10.1.0.7")
	host.CheckNames("netstat", []string{"-n", "-an", "-lnp", "-nr", "-plunte", "-ntp"}, []string{"-r", "-a"})
}

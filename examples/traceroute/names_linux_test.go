package main

import "testing"

// A name server that never answers is not asked with -n, and holds no line up.
func TestNamesNeverHold(t *testing.T) {
	client := path(t)
	client.Hosts("10.3.0.5 web1\n")
	client.CheckNames("traceroute", []string{"-n 10.3.0.5", "-n web1", "-I -n 10.3.0.5", "-T -n web1"}, []string{"10.3.0.5", "-I web1"})
}

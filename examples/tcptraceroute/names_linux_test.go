package main

import "testing"

// A name server that never answers is not asked with -n, and holds no line up.
func TestNamesNeverHold(t *testing.T) {
	client := path(t)
	client.Hosts("10.3.0.5 web1\n")
	client.CheckNames("tcptraceroute", []string{"-n 10.3.0.5 8080", "-n web1 8080"}, []string{"10.3.0.5 8080", "web1 8080"})
}

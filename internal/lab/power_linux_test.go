package lab_test

import (
	"strings"
	"testing"
)

func TestPowerOff(t *testing.T) {
	t.Parallel()
	need(t, "ping")
	_, client, gw, server := twoNets(t)
	for _, dst := range bothServers {
		if !pings(t, client, dst) {
			t.Fatal("no answer before")
		}
	}
	server.PowerOff()
	out, _ := client.Command("ping", "-n", "-c1", "-W5", "10.2.0.2").CombinedOutput()
	if !strings.Contains(string(out), "From 10.1.0.1") || !strings.Contains(string(out), "Destination Host Unreachable") {
		t.Errorf("ping of a dead host:\n%s", out)
	}
	if state := ipJSON(t, gw, "link", "show", "wan")[0]["operstate"]; state != "UP" {
		t.Errorf("the port of the router is %v", state)
	}
	if got := jsonText(t, ipJSON(t, gw, "neigh", "show", "10.2.0.2")); !strings.Contains(got, "FAILED") {
		t.Errorf("neighbour entry: %s", got)
	}
	server.PowerOn()
	for _, dst := range bothServers {
		if !pings(t, client, dst) {
			t.Errorf("%s does not answer after PowerOn", dst)
		}
	}
}

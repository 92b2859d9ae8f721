package lab_test

import (
	"testing"

	"github.com/netsonde/netsonde/internal/lab"
)

func fourHosts(t testing.TB) (client, server *lab.Host) {
	l := lab.New(t)
	client, gw, r2, server := l.Host("client"), l.Router("gw"), l.Router("r2"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), gw.Port("lan", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(gw.Port("wan", "10.2.0.1/24", "fd00:2::1/64"), r2.Port("up", "10.2.0.2/24", "fd00:2::2/64"))
	l.Connect(r2.Port("down", "10.3.0.1/24", "fd00:3::1/64"), server.Port("eth0", "10.3.0.2/24", "fd00:3::2/64"))
	client.Route("default", "10.1.0.1")
	client.Route("default", "fd00:1::1")
	gw.Route("10.3.0.0/24", "10.2.0.2")
	gw.Route("fd00:3::/64", "fd00:2::2")
	r2.Route("10.1.0.0/24", "10.2.0.1")
	r2.Route("fd00:1::/64", "fd00:2::1")
	server.Route("default", "10.3.0.1")
	server.Route("default", "fd00:3::1")
	return client, server
}

func TestFourHosts(t *testing.T) {
	client, _ := fourHosts(t)
	for _, dst := range []string{"10.3.0.2", "fd00:3::2"} {
		out, err := client.Output("ping", "-c1", "-W2", dst)
		if err != nil {
			t.Errorf("ping %s: %v\n%s", dst, err, out)
		}
		out, err = client.OutputUnprivileged("ping", "-c1", "-W2", dst)
		if err != nil {
			t.Errorf("unprivileged ping %s: %v\n%s", dst, err, out)
		}
	}
	out, err := client.Output("ip", "addr")
	t.Logf("%s %v", out, err)
	out, err = client.OutputUnprivileged("cat", "/proc/self/status")
	t.Logf("%s %v", out, err)
}

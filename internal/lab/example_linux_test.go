package lab_test

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// A test of a firewall that rejects one port: the network, the fault, the look
// from inside, and the proof that the fault was met.
func Example() {
	_ = func(t *testing.T) {
		l := lab.New(t)
		client, gw, server := l.Host("client"), l.Router("gw"), l.Host("server")
		l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), gw.Port("lan", "10.1.0.1/24", "fd00:1::1/64"))
		l.Connect(gw.Port("wan", "10.2.0.1/24", "fd00:2::1/64"), server.Port("eth0", "10.2.0.2/24", "fd00:2::2/64"))
		client.Route("default", "10.1.0.1")
		server.Route("default", "10.2.0.1")
		server.ListenTCP(":80", lab.Echo)

		rejected := gw.Filter(lab.Forward, lab.Rule{Proto: "tcp", DPort: 80, Action: lab.RejectReset})
		err := client.Do(func() error {
			conn, err := net.Dial("tcp", "10.2.0.2:80")
			if err == nil {
				conn.Close()
			}
			return err
		})
		if !errors.Is(err, unix.ECONNREFUSED) || rejected.Packets() != 1 {
			t.Errorf("%v, %d packets rejected", err, rejected.Packets())
		}
	}
}

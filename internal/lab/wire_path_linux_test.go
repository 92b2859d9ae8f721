package lab_test

import (
	"strings"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
)

func TestWireUnplug(t *testing.T) {
	a, b, w := wired(t, lab.Impair{}, lab.Impair{})
	w.Unplug()
	for _, h := range []*lab.Host{a, b} {
		flags := jsonText(t, ipJSON(t, h, "link", "show", "eth0")[0]["flags"])
		if !strings.Contains(flags, `"NO-CARRIER"`) || !strings.Contains(flags, `"UP"`) {
			t.Errorf("%s: %s", h.Name, flags)
		}
	}
	w.Plug()
	if !pings(t, a, "fd00::2") {
		t.Error("plugged in again, but nothing passes")
	}
}

// TestWireBetweenRouters shows that frames which a router forwards have their
// checksums too: those come from a port with offload.
func TestWireBetweenRouters(t *testing.T) {
	l := lab.New(t)
	client, r1, r2, server := l.Host("client"), l.Router("r1"), l.Router("r2"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24"), r1.Port("in", "10.1.0.1/24"))
	w := l.Wire(r1.Port("out", "10.2.0.1/24"), r2.Port("in", "10.2.0.2/24"), lab.Impair{}, lab.Impair{})
	l.Connect(r2.Port("out", "10.3.0.1/24"), server.Port("eth0", "10.3.0.2/24"))
	client.Route("default", "10.1.0.1")
	r1.Route("default", "10.2.0.2")
	r2.Route("default", "10.2.0.1")
	server.Route("default", "10.3.0.1")
	transfer(t, client, server, "10.3.0.2", 4<<20)
	w.Set(lab.Impair{Loss: 0.01, Delay: time.Millisecond}, lab.Impair{Delay: time.Millisecond})
	transfer(t, client, server, "10.3.0.2", 1<<20)
	if ab, _ := w.Stats(); ab.Lost == 0 {
		t.Errorf("nothing lost: %+v", ab)
	}
}

func BenchmarkWire(b *testing.B) {
	client, server, _ := wired(b, lab.Impair{}, lab.Impair{})
	const size = 4 << 20
	b.SetBytes(size)
	for b.Loop() {
		transfer(b, client, server, "10.0.0.2", size)
	}
}

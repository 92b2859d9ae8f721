package lab

import "testing"

// BenchmarkFourHosts builds client, two routers and server with three cables,
// both families and all routes; taking them down is timed by the second one.
func BenchmarkFourHosts(b *testing.B) {
	for b.Loop() {
		l := buildFour(b)
		b.StopTimer()
		l.close()
		b.StartTimer()
	}
}

func BenchmarkFourHostsUpAndDown(b *testing.B) {
	for b.Loop() {
		buildFour(b).close()
	}
}

func buildFour(t testing.TB) *Lab {
	l := New(t)
	client, gw, r2, server := l.Host("client"), l.Router("gw"), l.Router("r2"), l.Host("server")
	l.Connect(client.Port("eth0", "10.1.0.2/24", "fd00:1::2/64"), gw.Port("lan", "10.1.0.1/24", "fd00:1::1/64"))
	l.Connect(gw.Port("wan", "10.2.0.1/24", "fd00:2::1/64"), r2.Port("up", "10.2.0.2/24", "fd00:2::2/64"))
	l.Connect(r2.Port("down", "10.3.0.1/24", "fd00:3::1/64"), server.Port("eth0", "10.3.0.2/24", "fd00:3::2/64"))
	for _, r := range []struct {
		host     *Host
		dst, via string
	}{
		{client, "default", "10.1.0.1"}, {client, "default", "fd00:1::1"},
		{gw, "10.3.0.0/24", "10.2.0.2"}, {gw, "fd00:3::/64", "fd00:2::2"},
		{r2, "10.1.0.0/24", "10.2.0.1"}, {r2, "fd00:1::/64", "fd00:2::1"},
		{server, "default", "10.3.0.1"}, {server, "default", "fd00:3::1"},
	} {
		r.host.Route(r.dst, r.via)
	}
	return l
}

func BenchmarkDo(b *testing.B) {
	h := New(b).Host("h")
	for b.Loop() {
		if err := h.Do(func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

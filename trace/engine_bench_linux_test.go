package trace_test

import (
	"fmt"
	"iter"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/trace"
)

// many gives the server of a chain all addresses of 10.64.0.0/16 and
// fd64::/112, which every node has a route to.
func (c *chain) many(t testing.TB) {
	t.Helper()
	for i, n := range c.nodes[:len(c.nodes)-1] {
		n.Route("10.64.0.0/16", far(4, i).String())
		n.Route("fd64::/112", far(6, i).String())
	}
	err := c.server.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		for _, p := range []string{"10.64.0.0/16", "fd64::/112"} {
			dst, err := netlink.ParseIPNet(p)
			if err != nil {
				return err
			}
			r := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL}
			if dst.IP.To4() != nil {
				r.Scope = netlink.SCOPE_HOST
			}
			if err := netlink.RouteAdd(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// manyTargets are n addresses of many.
func manyTargets(family, n int) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for i := range n {
			a := netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)})
			if family == 6 {
				b := netip.MustParseAddr("fd64::").As16()
				b[14], b[15] = byte(i>>8), byte(i)
				a = netip.AddrFrom16(b)
			}
			if !yield(a) {
				return
			}
		}
	}
}

func BenchmarkEngineMap(b *testing.B) {
	c := newChain(b, 5)
	c.many(b)
	for m := range lastWords {
		for _, family := range []int{4, 6} {
			b.Run(fmt.Sprint(m, family), func(b *testing.B) {
				e := c.openEngine(b, trace.EngineOptions{Rate: -1})
				b.ReportAllocs()
				packets, lost := 0, 0
				for b.Loop() {
					for p, err := range e.Tracer(m, trace.Options{}).Map(b.Context(), manyTargets(family, 4096)) {
						if err != nil {
							b.Fatal(err)
						}
						packets += p.Packets
						if p.Distance() != 6 {
							lost++
						}
					}
				}
				b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "probes/s")
				b.ReportMetric(float64(packets)/float64(b.N), "packets/op")
				b.ReportMetric(float64(lost)/float64(b.N), "lost/op")
			})
		}
	}
}

// BenchmarkEngineTraces has a thousand goroutines trace one after the other.
func BenchmarkEngineTraces(b *testing.B) {
	c := newChain(b, 3)
	c.many(b)
	for m := range lastWords {
		b.Run(fmt.Sprint(m), func(b *testing.B) {
			e := c.openEngine(b, trace.EngineOptions{Rate: -1, Family: 4, Methods: []trace.Method{m}})
			tr := e.Tracer(m, trace.Options{})
			b.ReportAllocs()
			b.SetParallelism(1000 / runtime.GOMAXPROCS(0))
			var n, packets atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					p, err := tr.Trace(b.Context(), netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)}))
					if err != nil || p.Distance() != 4 {
						b.Error(err, words(p))
					}
					packets.Add(int64(p.Packets))
				}
			})
			b.ReportMetric(float64(packets.Load())/b.Elapsed().Seconds(), "probes/s")
		})
	}
}

package cli

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var atOnce, most, asked atomic.Int64
		n := newNames(t.Context(), func(ctx context.Context, addr string) ([]string, error) {
			asked.Add(1)
			defer atOnce.Add(-1)
			if now := atOnce.Add(1); now > most.Load() {
				most.Store(now)
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if addr == "192.0.2.0" {
				return nil, errors.New("no such host")
			}
			return []string{"host-" + addr + ".", "other."}, nil
		})
		defer n.Close()
		n.Wait(time.Hour) // nothing to wait for
		first := netip.MustParseAddr("192.0.2.0")
		ask := func() (found int) {
			for i, a := 0, first; i < 40; i, a = i+1, a.Next() {
				if name := n.Host(a); name == "host-"+a.String() {
					found++
				} else if name != "" {
					t.Errorf("%v is %q", a, name)
				}
			}
			return found
		}
		begin := time.Now()
		if found := ask(); found != 0 || time.Since(begin) != 0 {
			t.Errorf("%d names at once, after %v", found, time.Since(begin))
		}
		n.Wait(500 * time.Millisecond)
		if found := ask(); found != 0 || time.Since(begin) != 500*time.Millisecond {
			t.Errorf("%d names after %v", found, time.Since(begin))
		}
		n.Wait(time.Hour)
		if found := ask(); found != 39 || time.Since(begin) != 3*time.Second {
			t.Errorf("%d names after %v, want 39 after 3 s", found, time.Since(begin))
		}
		if asked.Load() != 40 || most.Load() != maxLookups {
			t.Errorf("%d look-ups, %d at once, want 40 and %d", asked.Load(), most.Load(), maxLookups)
		}
	})
}

func TestNamesAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNames(t.Context(), func(ctx context.Context, _ string) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		for a := netip.MustParseAddr("192.0.2.0"); a != netip.MustParseAddr("192.0.2.99"); a = a.Next() {
			n.Host(a)
		}
		n.Close() // the bubble finds what is left behind
		n.Wait(time.Hour)
		if name := n.Host(netip.MustParseAddr("192.0.2.200")); name != "" {
			t.Errorf("name %q after the end", name)
		}
	})
}

func TestServices(t *testing.T) {
	s := parseServices(strings.NewReader("# comment\nhttp\t80/tcp\twww # web\nalso-http 80/tcp\ndomain 53/UDP\nbad\n"))
	for _, tt := range []struct {
		protocol string
		port     uint16
		want     string
	}{{"tcp", 80, "http"}, {"udp", 80, "80"}, {"udp", 53, "domain"}, {"tcp", 65535, "65535"}} {
		if got := s.Port(tt.protocol, tt.port); got != tt.want {
			t.Errorf("%d/%s is %q, want %q", tt.port, tt.protocol, got, tt.want)
		}
	}
	if got := Services(nil).Port("tcp", 80); got != "80" {
		t.Errorf("without a list port 80 is %q", got)
	}
}

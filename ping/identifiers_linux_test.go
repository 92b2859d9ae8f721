package ping

import (
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
)

// Beyond 65,536 probes in flight, further identifiers are opened that nobody
// else can take, and each of many hosts, three in four of them silent, has its
// own outcome. So it has when there are no descriptors for more identifiers,
// and that is told.
func TestIdentifiersOnDemand(t *testing.T) {
	client, server := withMany(t)
	for _, silent := range []string{"10.64.0.0/16", "10.65.0.0/16", "10.66.0.0/16"} {
		server.Filter(lab.Input, lab.Rule{ICMP: lab.EchoRequest, Dst: silent})
	}
	prefix, answering := netip.MustParsePrefix("10.64.0.0/14"), netip.MustParsePrefix("10.67.0.0/16")
	check := func(t *testing.T, e *Engine) {
		var answered, silent int
		for r, err := range e.Sweep(t.Context(), Hosts(prefix), &SweepOptions{Rate: -1}) {
			want := OutcomeTimeout
			if answering.Contains(r.Target) {
				want = OutcomeReply
			}
			if err != nil || r.Outcome != want && r.Err != overflowed || want == OutcomeReply && r.Outcome == want && r.From != r.Target {
				t.Fatalf("%+v, %v, want %v", r, err, want)
			}
			if want == OutcomeReply {
				answered++
			} else {
				silent++
			}
		}
		if answered != 1<<16-1 || silent != 3<<16-1 {
			t.Errorf("%d hosts that answer, %d that do not", answered, silent)
		}
	}
	o := Options{Timeout: 4 * time.Second, Size: 8}
	t.Run("plenty", func(t *testing.T) {
		e := openIn(t, client, false, o)
		check(t, e)
		ids := e.Identifiers()
		if len(ids.IPv4) < 2 || len(ids.IPv6) != 1 || !ids.Exclusive || ids.Shortage != "" {
			t.Errorf("%+v", ids)
		}
		for _, id := range append(ids.IPv4, ids.IPv6...) {
			if err := takeIn(client, id); err != unix.EADDRINUSE {
				t.Errorf("taking identifier %d: %v", id, err)
			}
		}
		if _, err := exec.LookPath("ping"); err != nil {
			t.Skip("needs ping")
		}
		id := strconv.Itoa(int(ids.IPv4[len(ids.IPv4)-1]))
		if out, err := client.OutputUnprivileged("ping", "-c1", "-w2", "-e", id, "10.1.0.1"); err == nil {
			t.Errorf("another process has identifier %s too:\n%s", id, out)
		}
		e.Close()
		if out, err := client.OutputUnprivileged("ping", "-c1", "-w2", "-e", id, "10.1.0.1"); err != nil {
			t.Errorf("identifier %s is not free again: %v\n%s", id, err, out)
		}
	})
	t.Run("no descriptors", func(t *testing.T) {
		e := openIn(t, client, false, o)
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		low := unix.Rlimit{Cur: 3, Max: limit.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
			t.Fatal(err)
		}
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
		check(t, e)
		if ids := e.Identifiers(); len(ids.IPv4) != 1 || !strings.HasSuffix(ids.Shortage, unix.EMFILE.Error()) {
			t.Errorf("%+v", ids)
		}
	})
}

// takeIn binds a socket of nobody's to an identifier.
func takeIn(h *lab.Host, id uint16) (bound error) {
	err := h.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		bound = unix.Bind(fd, &unix.SockaddrInet4{Port: int(id)})
		return nil
	})
	if err != nil {
		return err
	}
	return bound
}

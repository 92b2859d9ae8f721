package lab

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"

	"github.com/netsonde/netsonde/internal/nl"
)

const (
	churnMarkers = 200
	churnOthers  = 1500 // several datagrams
)

// UnderChurn reads a list of the kernel 200 times while an entry moves through it.
// The next one always comes before the last one goes, so that a consistent list has
// one of them, or two that follow each other, beside all the entries that stay.
// Whatever has not must come with nl.ErrInterrupted. Entries are by addresses of
// 10.2.0.0/15; list may return others too.
func UnderChurn(t testing.TB, add, del func(net.IP) error, list func() ([]netip.Addr, error)) {
	t.Helper()
	marker := func(i int) net.IP { return net.IPv4(10, 3, 0, byte(1+i%churnMarkers)) }
	for i := range churnOthers {
		if err := add(net.IPv4(10, 2, byte(i/250), byte(1+i%250))); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(marker(0)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			if err := errors.Join(add(marker(i+1)), del(marker(i))); err != nil {
				t.Errorf("%v", err)
				return
			}
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	clean, interrupted := 0, 0
	for range 200 {
		addrs, err := list()
		if errors.Is(err, nl.ErrInterrupted) {
			if interrupted++; len(addrs) == 0 {
				t.Fatal("an interrupted list came without data")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		clean++
		if n, there := churned(addrs); n != churnOthers || !follow(there) {
			t.Fatalf("%d of %d others and markers %v without an error", n, churnOthers, there)
		}
	}
	t.Logf("%d consistent lists, %d marked as interrupted", clean, interrupted)
}

// churned counts the entries that stay, and tells which markers are there.
func churned(addrs []netip.Addr) (others int, markers []int) {
	for _, a := range addrs {
		switch b := a.AsSlice(); {
		case len(b) == 4 && b[1] == 2:
			others++
		case len(b) == 4 && b[1] == 3:
			markers = append(markers, int(b[3])-1)
		}
	}
	return others, markers
}

func follow(m []int) bool {
	return len(m) == 1 || len(m) == 2 && ((m[0]+1)%churnMarkers == m[1] || (m[1]+1)%churnMarkers == m[0])
}

package sockets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
)

func every(*Socket) bool { return true }

// fromProc is a lister on a kernel without sock_diag.
func fromProc(o Options, root string) *lister {
	l := newLister(o, every)
	l.root, l.noDiag = root, true
	return l
}

// All tells the same as List, and stops when nobody wants more.
func TestAll(t *testing.T) {
	z := newZoo(t, 603)
	protocols := []Protocol{TCP, UDP, Raw, Unix, MPTCP} // packet sockets hear more meanwhile
	want := z.read(Options{Protocols: protocols}).Sockets
	var got []Socket
	z.check(z.host.Do(func() error {
		for s, err := range All(t.Context(), &Options{Protocols: protocols}) {
			if err != nil {
				return err
			}
			got = append(got, s)
		}
		for _, err := range All(t.Context(), nil) {
			if err != nil {
				return err
			}
			break
		}
		return nil
	}))
	if diff := cmp.Diff(ownLines(want), ownLines(got)); diff != "" {
		t.Errorf("(-List +All):\n%s", diff)
	}
	// Who breaks out is told nothing more, even when the context has ended by then.
	ended, end := context.WithCancel(t.Context())
	n := 0
	z.check(z.host.Do(func() error {
		for _, err := range All(ended, &Options{Protocols: []Protocol{TCP}}) {
			if n++; err != nil {
				return err
			}
			end()
			break
		}
		return nil
	}))
	if n != 1 {
		t.Errorf("%d sockets before the break, want 1", n)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	for s, err := range All(ctx, nil) {
		if !errors.Is(err, gone) || s.Protocol != 0 {
			t.Errorf("%v, %v: want %v", s, err, gone)
		}
	}
}

// What cannot be asked for is refused, and an unknown state is nobody's.
func TestOptionsOutOfRange(t *testing.T) {
	z := newZoo(t, 640)
	z.check(z.host.Do(func() error {
		for _, f := range []Family{FamilyUnix, FamilyPacket, 9} {
			if list, err := List(t.Context(), &Options{Family: f}); !errors.Is(err, unix.EINVAL) {
				t.Errorf("family %v: %d sockets, error %v", f, len(list), err)
			}
		}
		return nil
	}))
	states := Options{Protocols: everything, States: []State{StateEstablished + 32, StateListen + 64, 255}}
	if got := z.read(states).Sockets; len(got) != 0 {
		t.Errorf("unknown states: %d sockets", len(got))
	}
}

// The older request for both families and those for one tell the same.
func TestBothFamiliesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, seed uint64) {
		z := newZoo(t, 650+seed)
		f := Filter{Either: []Endpoint{z.endpoint(z.read(Options{}).Sockets)}}
		for _, o := range []Options{{}, {Info: true, Memory: true}, {Filter: f}, {States: []State{StateEstablished, StateListen}}} {
			o.Protocols = []Protocol{TCP}
			both := z.read(o).Sockets
			apart := []Socket{}
			for _, o.Family = range []Family{FamilyIPv4, FamilyIPv6} {
				apart = append(apart, z.read(o).Sockets...)
			}
			for _, list := range [][]Socket{both, apart} {
				for i := range list {
					list[i].TCP, list[i].Expires = nil, 0 // time goes on
				}
			}
			if diff := cmp.Diff(apart, both, sameAddr); diff != "" {
				t.Errorf("seed %d, %+v (-apart +at once):\n%s", seed, o, diff)
			}
		}
	})
}

// A state filter in the kernel gives what filtering afterwards would.
func TestStatesAreFilteredByTheKernel(t *testing.T) {
	z := newZoo(t, 600)
	all := z.read(Options{Protocols: everything}).Sockets
	for range 40 {
		var states []State
		for s := StateEstablished; s <= StateBoundInactive; s++ {
			if z.rand.IntN(3) == 0 {
				states = append(states, s)
			}
		}
		if states == nil {
			continue
		}
		want := slices.DeleteFunc(slices.Clone(all), func(s Socket) bool { return !slices.Contains(states, s.State) })
		got := z.read(Options{Protocols: everything, States: states}).Sockets
		if diff := cmp.Diff(knownToProc(want), knownToProc(got)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", states, diff)
		}
		if w, g := boundOnly(want), boundOnly(got); w != g {
			t.Errorf("%v: %d taken ports, want %d", states, g, w)
		}
	}
}

func boundOnly(sockets []Socket) (n int) {
	for _, s := range sockets {
		if s.State == StateBoundInactive {
			n++
		}
	}
	return n
}

func TestFamilyAndNamespace(t *testing.T) {
	z := newZoo(t, 601)
	all := z.read(Options{}).Sockets
	for _, family := range []Family{FamilyIPv4, FamilyIPv6} {
		want := slices.DeleteFunc(slices.Clone(all), func(s Socket) bool { return s.Family != family })
		// From outside, by descriptor.
		got, err := List(t.Context(), &Options{Family: family, NetNS: z.host.NetNSFD()})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ownLines(want), ownLines(got)); diff != "" {
			t.Errorf("%v (-inside +from outside):\n%s", family, diff)
		}
	}
	proc, err := fromProc(Options{NetNS: z.host.NetNSFD()}, procRoot).table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(knownToProc(all), knownToProc(proc.Sockets)); diff != "" {
		t.Errorf("(-sock_diag inside +proc from outside):\n%s", diff)
	}
}

// A kernel without sock_diag is asked once.
func TestKernelWithoutSockDiag(t *testing.T) {
	z := newZoo(t, 602)
	asked := 0
	var table Table
	z.check(z.host.Do(func() (err error) {
		l := newLister(Options{}, every)
		l.dial = func(nl.Config) (*nl.Conn, error) {
			asked++
			return nil, fmt.Errorf("open netlink socket: %w", unix.EPROTONOSUPPORT)
		}
		table, err = l.table(t.Context())
		return err
	}))
	if diff := cmp.Diff([]Protocol{TCP, UDP}, table.FromProc); diff != "" || asked != 1 {
		t.Errorf("asked %d times, from /proc (-want +got):\n%s", asked, diff)
	}
	if diff := cmp.Diff(knownToProc(z.read(Options{}).Sockets), knownToProc(table.Sockets)); diff != "" {
		t.Errorf("(-sock_diag +proc):\n%s", diff)
	}
}

// An error that does not mean "there is none" is not hidden behind /proc.
func TestOtherErrorsAreErrors(t *testing.T) {
	l := newLister(Options{}, every)
	l.dial = func(nl.Config) (*nl.Conn, error) { return nil, unix.EMFILE }
	_, err := l.table(t.Context())
	if _, ok := errors.AsType[*OpError](err); !ok || !errors.Is(err, unix.EMFILE) {
		t.Errorf("error %v, want an OpError about EMFILE", err)
	}
}

func TestProtocolThatTheKernelHasNot(t *testing.T) {
	root := t.TempDir() // a /proc without any file
	table, err := fromProc(Options{Protocols: everything}, root).table(t.Context())
	if err != nil || len(table.Sockets) > 0 || table.Sockets == nil {
		t.Errorf("sockets %v, error %v, want an empty list", table.Sockets, err)
	}
	if diff := cmp.Diff(everything, table.NotListed); diff != "" {
		t.Errorf("not listed (-want +got):\n%s", diff)
	}
}

func TestContext(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := List(ctx, nil); !errors.Is(err, gone) {
		t.Errorf("List: %v, want %v", err, gone)
	}
	if _, err := fromProc(Options{}, procRoot).table(ctx); !errors.Is(err, gone) {
		t.Errorf("from /proc: %v, want %v", err, gone)
	}
	var table Table
	if err := table.findOwners(ctx, procRoot); !errors.Is(err, gone) {
		t.Errorf("looking for processes: %v, want %v", err, gone)
	}
}

// fakeProc is a /proc of files: a folder for each process, whose descriptors
// are links as the kernel shows them.
func fakeProc(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := os.WriteFile(path, []byte(text), 0o644)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			os.Remove(path)
			err = os.Symlink(target, path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOwners(t *testing.T) {
	root := fakeProc(t, map[string]string{
		"1/fd/0": "-> /dev/null", "1/fd/3": "-> socket:[30]", "1/fd/10": "-> socket:[31]", "1/fd/4": "-> pipe:[30]",
		"1/comm": "init\n", "1/cmdline": "/sbin/init\x00splash\x00",
		"20/fd/5": "-> socket:[30]", "20/fd/6": "-> socket:[30]", "20/comm": "odd \x1bname\n", "20/cmdline": "",
		"21/fd/7": "-> socket:[99]", "21/comm": "other\n", // a socket that nobody asked about
		"22/fd":      "no folder", // cannot be looked into
		"23/comm":    "ended",     // no fd: gone meanwhile
		"self/fd/3":  "-> socket:[30]",
		"uptime":     "1.0",
		"24/fd/abc":  "-> socket:[30]",
		"24/comm":    "strange\n",
		"24/cmdline": "x",
	})
	table := Table{Sockets: []Socket{{Inode: 30}, {Inode: 31}, {Inode: 0}, {Inode: 32}, {Inode: 30}}}
	if err := table.findOwners(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	shared := []Process{{PID: 1, Name: "init", Program: "init", FD: 3}, {PID: 20, Name: "odd \x1bname", FD: 5}, {PID: 20, Name: "odd \x1bname", FD: 6}}
	want := []Socket{
		{Inode: 30, Ownership: OwnershipFound, Owners: shared},
		{Inode: 31, Ownership: OwnershipFound, Owners: []Process{{PID: 1, Name: "init", Program: "init", FD: 10}}},
		{Inode: 0, Ownership: OwnershipNone},
		{Inode: 32, Ownership: OwnershipUnknown},
		{Inode: 30, Ownership: OwnershipFound, Owners: shared},
	}
	if diff := cmp.Diff(want, table.Sockets, sameAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	walk := table.Walk
	walk.Need = "" // depends on who runs the test
	if diff := cmp.Diff(Walk{Read: 4, Refused: 1, Unowned: 1}, walk); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if (table.Walk.Need == "") != mayWalk() {
		t.Errorf("need %q, capabilities %v", table.Walk.Need, mayWalk())
	}
}

func TestOwnersWithoutProc(t *testing.T) {
	table := Table{Sockets: []Socket{{Inode: 30}}}
	if err := table.findOwners(t.Context(), filepath.Join(t.TempDir(), "none")); err != nil {
		t.Fatal(err)
	}
	if table.Sockets[0].Ownership != OwnershipUnknown || table.Walk.Unowned != 1 || !strings.Contains(table.Walk.Err, "no such file") {
		t.Errorf("ownership %v, account %+v", table.Sockets[0].Ownership, table.Walk)
	}
}

// A folder with more descriptors than one read of it returns.
func TestOwnersOfManyDescriptors(t *testing.T) {
	z := newZoo(t, 603)
	z.check(z.host.Do(func() error {
		for range 1500 {
			z.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		}
		z.udp()
		return nil
	}))
	for _, s := range z.read(Options{Protocols: []Protocol{UDP}, Processes: true}).Sockets {
		if s.Ownership != OwnershipFound || s.Owners[0].PID != os.Getpid() {
			t.Errorf("%v: %v %v", s.Local, s.Ownership, s.Owners)
		}
	}
}

// Many lists at once do not mix.
func TestConcurrentLists(t *testing.T) {
	zoos := []*zoo{newZoo(t, 604), newZoo(t, 605)}
	want := [][]string{}
	for _, z := range zoos {
		want = append(want, ownLines(z.read(Options{Processes: true}).Sockets))
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			got, err := List(t.Context(), &Options{Processes: true, NetNS: zoos[i%2].host.NetNSFD()})
			if err != nil {
				t.Error(err)
			} else if diff := cmp.Diff(want[i%2], ownLines(got)); diff != "" {
				t.Errorf("list %d (-want +got):\n%s", i, diff)
			}
		})
	}
	wg.Wait()
}

// Nothing gets lost on the way through JSON.
func TestTableThroughJSON(t *testing.T) {
	want := newZoo(t, 606).read(Options{Protocols: everything, Processes: true})
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Table
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, s := range got.Sockets {
		if len(s.Unknown) > 0 {
			t.Logf("an attribute that has no field yet: %v %v", s.Protocol, s.Unknown)
		}
	}
}

// While connections come and go, what stays is in every list, once.
func TestUnderChurn(t *testing.T) {
	z := newZoo(t, 607)
	stays := map[uint32]bool{}
	z.check(z.host.Do(func() error {
		for range 50 {
			z.pair()
			z.udp()
		}
		return nil
	}))
	for _, s := range z.read(Options{}).Sockets {
		if s.Inode != 0 && s.State != StateSynSent {
			stays[s.Inode] = true
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var churn sync.WaitGroup
	churn.Go(func() {
		err := z.host.Do(func() error { return comeAndGo(ctx) })
		if err != nil {
			t.Error(err)
		}
	})
	for i := range 300 {
		seen := map[uint32]int{}
		for _, s := range z.read(Options{}).Sockets {
			seen[s.Inode]++
		}
		for inode := range stays {
			if seen[inode] != 1 {
				t.Fatalf("list %d has socket %d %d times", i, inode, seen[inode])
			}
		}
	}
	cancel()
	churn.Wait()
}

// comeAndGo opens and resets connections until ctx ends, at most 50,000.
func comeAndGo(ctx context.Context) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	for range 50_000 {
		if ctx.Err() != nil {
			return nil
		}
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			return err
		}
		s, err := ln.Accept()
		if err != nil {
			c.Close()
			return err
		}
		c.(*net.TCPConn).SetLinger(0) // no TIME-WAIT
		c.Close()
		s.Close()
	}
	return nil
}

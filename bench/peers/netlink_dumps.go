package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	mdlayher "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/link"
)

const (
	dumps        = 10_000
	stayingAddrs = 600 // that stay, during the dumps
)

// dumped is what a child that dumps under churn reports.
type dumped struct {
	Dumps, Marked int
	Wrong, Silent int // contradict themselves; and are not marked
	Flagged       int // the kernel marked a message
	Changes       int64
	Took          time.Duration
}

func registerDumps() {
	register("ours-dumps", func([]string) (any, error) { return underChurn(oursDump) })
	register("mdlayher-dumps", func([]string) (any, error) {
		c, err := mdlayher.Dial(unix.NETLINK_ROUTE, nil)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return underChurn(func() (string, bool, bool, error) { return mdlayherDump(c) })
	})
}

// compareDumps is about dumps of addresses, which the kernel marks, while they change.
func compareDumps(s *stage) table {
	host := s.oneHost(lab.New(s), "host")
	var lines strings.Builder
	for i := range stayingAddrs {
		fmt.Fprintf(&lines, "addr add 10.200.%d.%d/32 dev eth0\n", i>>8, i&255)
	}
	c := host.Command("ip", "-batch", "-")
	c.Stdin = strings.NewReader(lines.String())
	if out, err := c.CombinedOutput(); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
	privileged := func(name string) (d dumped) {
		out, _ := s.process(host.ChildCommand(name, true))
		if err := json.Unmarshal(out, &d); err != nil {
			s.Fatalf("%s: %v: %s", name, err, out)
		}
		return d
	}
	ours, peer := privileged("ours-dumps"), privileged("mdlayher-dumps")
	words := func(d dumped) string {
		return fmt.Sprintf("%d inconsistent unmarked, %d marked, of %d (%d changes)", d.Silent, d.Marked, d.Dumps, d.Changes)
	}
	return table{{
		fmt.Sprintf("%d dumps of %d addresses under churn", dumps, stayingAddrs), words(ours), fmt.Sprintf("mdlayher: %s; the kernel marked %d", words(peer), peer.Flagged),
		"0 inconsistent unmarked", judge(ours.Silent == 0 && ours.Dumps == dumps && ours.Changes > dumps),
	}}
}

// moving is the network of the addresses that come and go: at each moment there
// is one, or that and the next.
var moving = netip.MustParsePrefix("10.201.0.0/16")

// underChurn dumps while another thread changes addresses as fast as it can, and
// holds each dump against what can have been there.
func underChurn(dump func() (finding string, marked, flagged bool, err error)) (d dumped, err error) {
	var stop atomic.Bool
	var n atomic.Int64
	done := make(chan error, 1)
	go func() { done <- moveAddresses(&stop, &n) }()
	for n.Load() == 0 && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	for range dumps {
		finding, marked, flagged, dumpErr := dump()
		if dumpErr != nil {
			err = dumpErr
			break
		}
		d.Dumps++
		wrong := finding != consistent
		if marked {
			d.Marked++
		}
		if flagged {
			d.Flagged++
		}
		if wrong {
			d.Wrong++
		}
		if wrong && !marked {
			d.Silent++
		}
	}
	d.Took = time.Since(start)
	stop.Store(true)
	d.Changes = n.Load()
	return d, errors.Join(err, <-done)
}

// consistent is what judgeAddresses returns of a dump that can have been.
const consistent = "ok"

// judgeAddresses says whether there can have been these addresses at one time.
func judgeAddresses(list []netip.Addr) string {
	stay := make([]byte, stayingAddrs)
	var move []int
	for _, a := range list {
		b := a.As4()
		switch {
		case b[0] == 10 && b[1] == 200:
			if i := int(b[2])<<8 | int(b[3]); i < stayingAddrs {
				stay[i]++
			}
		case moving.Contains(a):
			move = append(move, int(b[2])<<8|int(b[3]))
		}
	}
	for i, times := range stay {
		if times != 1 {
			return fmt.Sprintf("address %d seen %d times", i, times)
		}
	}
	switch {
	case len(move) == 1:
		return consistent
	case len(move) == 2 && ((move[0]+1)&0xffff == move[1] || (move[1]+1)&0xffff == move[0]):
		return consistent
	}
	return fmt.Sprint("moving: ", move)
}

func oursDump() (finding string, marked, flagged bool, err error) {
	links, err := link.List(context.Background(), nil)
	marked = errors.Is(err, link.ErrInterrupted)
	if err != nil && !marked {
		return "", false, false, err
	}
	var list []netip.Addr
	for _, l := range links {
		for _, a := range l.Addresses {
			if a.Prefix.Addr().Is4() {
				list = append(list, a.Prefix.Addr())
			}
		}
	}
	return judgeAddresses(list), marked, false, nil
}

// mdlayherDump asks with the library as its documentation has it. Nothing of what
// it returns says that a dump was interrupted but the flags of the messages.
func mdlayherDump(c *mdlayher.Conn) (finding string, marked, flagged bool, err error) {
	body := append([]byte{unix.AF_INET}, make([]byte, unix.SizeofIfAddrmsg-1)...)
	msgs, err := c.Execute(mdlayher.Message{
		Header: mdlayher.Header{Type: unix.RTM_GETADDR, Flags: mdlayher.Request | mdlayher.Dump}, Data: body,
	})
	if err != nil {
		return "", false, false, err
	}
	var list []netip.Addr
	for _, m := range msgs {
		flagged = flagged || m.Header.Flags&mdlayher.DumpInterrupted != 0
		for a := nl.NewAttrs(m.Data[unix.SizeofIfAddrmsg:]); a.Next(); {
			if addr, ok := nl.Addr(a.Data); a.Type == unix.IFA_LOCAL && ok {
				list = append(list, addr)
			}
		}
	}
	return judgeAddresses(list), false, flagged, nil
}

// moveAddresses adds one address after the other and takes the one before away,
// by turns on the interface that is dumped first and on the one that is last.
func moveAddresses(stop *atomic.Bool, n *atomic.Int64) error {
	var indexes [2]int
	for i, name := range []string{"lo", "eth0"} {
		l, err := link.Get(context.Background(), name, nil)
		if err != nil {
			return err
		}
		indexes[i] = l.Index
	}
	c, err := nl.Dial(nl.Config{Family: unix.NETLINK_ROUTE})
	if err != nil {
		return err
	}
	defer c.Close()
	message := func(typ, flags uint16, i int) nl.Message {
		b := make([]byte, unix.SizeofIfAddrmsg, 32)
		b[0], b[1] = unix.AF_INET, 32
		binary.NativeEndian.PutUint32(b[4:], uint32(indexes[i%2]))
		return nl.Message{Type: typ, Flags: flags, Body: nl.Append(b, unix.IFA_LOCAL, []byte{10, 201, byte(i >> 8), byte(i)})}
	}
	i := 0
	for ; !stop.Load(); i++ {
		if err := c.Change(context.Background(), message(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, i)); err != nil {
			return err
		}
		if i > 0 {
			if err := c.Change(context.Background(), message(unix.RTM_DELADDR, 0, i-1)); err != nil {
				return err
			}
		}
		n.Add(2)
	}
	return c.Change(context.Background(), message(unix.RTM_DELADDR, 0, i-1))
}

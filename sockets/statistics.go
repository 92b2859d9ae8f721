package sockets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Counter is a counter of the network stack under the kernel's name, such as
// "RetransSegs" (RFC 4022) or "ListenOverflows"; SNMP counters of linux/snmp.h.
type Counter struct {
	Name  string `json:"name"`
	Value int64  `json:"value"` // since the network namespace was made; a few are states, such as CurrEstab
}

// CounterGroup is a protocol's counters in the kernel's order.
type CounterGroup struct {
	// Name is the kernel's: "Ip", "Icmp", "IcmpMsg", "Tcp", "Udp", "TcpExt",
	// "IpExt" …; for IPv6 "Ip6", "Icmp6", "Udp6" ….
	Name     string    `json:"protocol"`
	Counters []Counter `json:"counters"`
}

// Value returns a counter of the group by its name; false when there is none.
func (g CounterGroup) Value(name string) (int64, bool) {
	for _, c := range g.Counters {
		if c.Name == name {
			return c.Value, true
		}
	}
	return 0, false
}

// Counters returns what the network stack has counted, as netstat -s and nstat
// show it: the files snmp, netstat and snmp6 of /proc/net (proc(5)). Of o only
// NetNS and Family count: FamilyIPv6 is snmp6 alone, FamilyIPv4 the others. It
// needs no privilege, but /proc: without it the error is [os.ErrNotExist].
func Counters(ctx context.Context, o *Options) ([]CounterGroup, error) {
	if o == nil {
		o = &Options{}
	}
	return counters(ctx, *o)
}

// counterFiles are read in this order. One that is not there has no counters,
// as on a kernel without IPv6; the first is there wherever /proc is.
var counterFiles = []struct {
	name   string
	family Family
	parse  func([]byte) ([]CounterGroup, error)
}{
	{"snmp", FamilyIPv4, parsePairs},
	{"netstat", FamilyIPv4, parsePairs},
	{"snmp6", FamilyIPv6, parseSNMP6},
}

// readCounters reads the files that read returns.
func readCounters(family Family, read func(name string) ([]byte, error)) (groups []CounterGroup, err error) {
	for _, f := range counterFiles {
		if family != FamilyAny && family != f.family {
			continue
		}
		text, err := read(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := read(counterFiles[0].name); err != nil {
				return groups, err // no /proc: nothing is known, which is not the same as none
			}
			continue
		}
		if err != nil {
			return groups, err
		}
		more, err := f.parse(text)
		groups = append(groups, more...)
		if err != nil {
			return groups, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return groups, nil
}

// parsePairs reads pairs of lines, names and values: "Tcp: A B" and "Tcp: 1 2".
func parsePairs(text []byte) (groups []CounterGroup, err error) {
	var names []string
	n := 0
	for line := range bytes.Lines(text) {
		n++
		words := strings.Fields(string(line))
		if len(words) == 0 || !strings.HasSuffix(words[0], ":") {
			return groups, fmt.Errorf("line %d has no name", n)
		}
		if n%2 == 1 {
			names = words
			continue
		}
		if words[0] != names[0] || len(words) != len(names) {
			return groups, fmt.Errorf("line %d does not belong to the one before it", n)
		}
		g := CounterGroup{Name: strings.TrimSuffix(words[0], ":"), Counters: []Counter{}}
		for i, name := range names[1:] {
			v, err := number64(words[i+1])
			if err != nil {
				return groups, fmt.Errorf("line %d: %w", n, err)
			}
			g.Counters = append(g.Counters, Counter{name, v})
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// number64 reads a counter. The kernel prints some as signed and some as
// unsigned numbers of the machine's word; those above the signed range wrap.
func number64(text string) (int64, error) {
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return int64(u), nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// parseSNMP6 reads lines such as "Icmp6InMsgs 2".
func parseSNMP6(text []byte) (groups []CounterGroup, err error) {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "\t")
		if !ok {
			name, value, ok = strings.Cut(strings.TrimSpace(string(line)), " ")
		}
		group, counter, six := strings.Cut(name, "6")
		if !ok || !six {
			return groups, fmt.Errorf("line %d is not a counter of IPv6", n)
		}
		v, err := number64(strings.TrimSpace(value))
		if err != nil {
			return groups, fmt.Errorf("line %d: %w", n, err)
		}
		if group += "6"; len(groups) == 0 || groups[len(groups)-1].Name != group {
			groups = append(groups, CounterGroup{Name: group})
		}
		g := &groups[len(groups)-1]
		g.Counters = append(g.Counters, Counter{strings.TrimSpace(counter), v})
	}
	return groups, nil
}

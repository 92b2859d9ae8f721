package portscan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/netsonde/netsonde/internal/operr"
)

// Ports reads a list of ports as nmap -p takes it: numbers, ranges and service
// names between commas, such as "22,80-90,http". A range may leave out an end:
// "-1023" begins at 1, "60000-" ends at 65535, "-" is all. Names are those of
// /etc/services, or of a built-in list where there is none. The result is in
// ascending order, each port once. Port 0 is refused.
func Ports(spec string) ([]uint16, error) {
	var set [1 << 16]bool
	for item := range strings.SplitSeq(spec, ",") {
		first, last, err := portRange(strings.TrimSpace(item))
		if err != nil {
			return nil, operr.New("portscan: ports", strconv.Quote(spec), err)
		}
		for p := int(first); p <= int(last); p++ {
			set[p] = true
		}
	}
	var ports []uint16
	for p, in := range set {
		if in {
			ports = append(ports, uint16(p))
		}
	}
	return slices.Clip(ports), nil
}

// portRange reads one item of a list. A name may hold hyphens and begin with a
// digit ("http-alt", "3com-tsmux"), but has a letter.
func portRange(s string) (first, last uint16, err error) {
	if s == "" {
		return 0, 0, errors.New("empty item")
	}
	if strings.ContainsFunc(s, unicode.IsLetter) {
		p, err := service(s)
		return p, p, err
	}
	from, to, ranged := strings.Cut(s, "-")
	first, last = 1, 1<<16-1
	if from != "" {
		if first, err = portNumber(from); err != nil {
			return 0, 0, err
		}
	}
	if !ranged {
		return first, first, nil
	}
	if to != "" {
		if last, err = portNumber(to); err != nil {
			return 0, 0, err
		}
	}
	if first > last {
		return 0, 0, fmt.Errorf("range %q goes backwards", s)
	}
	return first, last, nil
}

func portNumber(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > 1<<16-1 {
		return 0, fmt.Errorf("%q is not a port, which is a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

func service(name string) (uint16, error) {
	// The Go look-up reads /etc/services and asks nobody.
	files := net.Resolver{PreferGo: true}
	for _, network := range []string{"tcp", "udp"} {
		if p, err := files.LookupPort(context.Background(), network, name); err == nil && p > 0 {
			return uint16(p), nil
		}
	}
	return 0, fmt.Errorf("%q is neither a port nor a known service", name)
}

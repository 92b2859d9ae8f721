package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netsonde/netsonde/link"
)

// request is what the words after the interface ask for.
type request struct {
	link.Changes
	addr      netip.Addr // new IPv4 address; unspecified: none any more
	bits      int        // of its network; -1: not said
	broadcast netip.Addr
	peer      netip.Addr
	noBrd     bool
	noPeer    bool
	add, del  []netip.Prefix // IPv6
	bounced   bool           // set up by a word, and down by a later one
}

// about reports whether the IPv4 address is to change.
func (r *request) about4() bool {
	return r.addr.IsValid() || r.bits >= 0 || r.broadcast.IsValid() || r.peer.IsValid() || r.noBrd || r.noPeer
}

// switches are the words for flags, with a dash for off.
var switches = map[string]link.Flags{
	"arp": link.FlagNoARP, "trailers": link.FlagNoTrailers, // the other way round
	"promisc": link.FlagPromisc, "multicast": link.FlagMulticast, "allmulti": link.FlagAllMulti, "dynamic": link.FlagDynamic,
}

// refused are words of ifconfig that nothing is done for, and why.
var refused = map[string]string{
	"metric": "Linux interfaces have no metric; routes do: route add … metric N", "keepalive": "only serial lines have it", "outfill": "only serial lines have it",
	"tunnel": "make tunnels with ip tunnel add", "mem_start": "drivers find their memory themselves", "io_addr": "drivers find their ports themselves",
	"irq": "drivers find their interrupt themselves", "media": "set it with ethtool -s",
}

// readWords turns the words after the interface into a request. They are read from left to
// right, and the later one counts.
func readWords(words []string) (*request, error) {
	r := &request{bits: -1}
	for i := 0; i < len(words); i++ {
		word := words[i]
		value := func() (string, error) {
			if i++; i >= len(words) {
				return "", fmt.Errorf("%s of what?", word)
			}
			return words[i], nil
		}
		if err := r.word(word, value); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *request) word(word string, value func() (string, error)) error {
	if why := refused[word]; why != "" {
		return fmt.Errorf("%s is not set here: %s", word, why)
	}
	if flag, on := switches[strings.TrimPrefix(word, "-")], !strings.HasPrefix(word, "-"); flag != 0 {
		r.flag(flag, on != (flag == link.FlagNoARP || flag == link.FlagNoTrailers))
		return nil
	}
	switch word {
	case "inet", "inet6":
		return nil
	case "up":
		r.flag(link.FlagUp, true)
		return nil
	case "down":
		r.flag(link.FlagUp, false)
		return nil
	case "-broadcast":
		r.noBrd = true
		return nil
	case "-pointopoint":
		r.noPeer = true
		return nil
	case "mtu", "txqueuelen", "hw", "netmask", "broadcast", "pointopoint", "dstaddr", "add", "del":
		v, err := value()
		if err == nil && word == "hw" && v == "ether" {
			v, err = value()
		}
		if err == nil {
			err = r.setting(word, v)
		}
		return err
	}
	return r.address(word)
}

func (r *request) flag(f link.Flags, on bool) {
	if on {
		r.SetFlags, r.ClearFlags = r.SetFlags|f, r.ClearFlags&^f
	} else {
		r.bounced = r.bounced || r.SetFlags&f&link.FlagUp != 0
		r.SetFlags, r.ClearFlags = r.SetFlags&^f, r.ClearFlags|f
	}
}

// setting takes a word that has a value.
func (r *request) setting(word, v string) (err error) {
	switch word {
	case "mtu", "txqueuelen":
		n, err := strconv.ParseUint(v, 0, 31)
		if err != nil || word == "mtu" && n == 0 {
			return fmt.Errorf("%s: %s is no number of them", v, word)
		}
		size := int(n)
		if word == "mtu" {
			r.MTU = size
		} else {
			r.TxQueueLen = &size
		}
	case "hw":
		return r.HardwareAddr.UnmarshalText([]byte(v))
	case "netmask":
		r.bits, err = maskBits(v)
	case "broadcast":
		r.broadcast, err = host4(v)
	case "pointopoint", "dstaddr":
		r.peer, err = host4(v)
	case "add", "del":
		p, err := prefix6(v)
		if err != nil {
			return err
		}
		if word == "add" {
			r.add = append(r.add, p)
		} else {
			r.del = append(r.del, p)
		}
	}
	return err
}

// address takes an address: IPv4 in the place of the old one, IPv6 besides. It
// sets the interface up, as with ifconfig.
func (r *request) address(word string) (err error) {
	addr, length, slash := strings.Cut(word, "/")
	if strings.Contains(addr, ":") {
		p, err := prefix6(word)
		r.add = append(r.add, p)
		r.flag(link.FlagUp, err == nil)
		return err
	}
	if r.addr, err = host4(addr); err != nil {
		return err
	}
	if slash {
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil || n > 32 {
			return fmt.Errorf("%s: invalid prefix length", word)
		}
		r.bits = int(n)
	}
	r.flag(link.FlagUp, true)
	return nil
}

// host4 reads an IPv4 address; no names are looked up.
func host4(s string) (netip.Addr, error) {
	if s == "0" || s == "default" {
		s = "0.0.0.0"
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("%s: Unknown host", s)
	}
	return a, nil
}

// prefix6 reads an IPv6 address with its length, 128 where none is given.
func prefix6(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		s += "/128"
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("%s: invalid IPv6 address", s)
	}
	return p, nil
}

// maskBits reads a mask, "255.255.255.0" or "0xffffff00".
func maskBits(s string) (int, error) {
	var v uint64
	a, err := netip.ParseAddr(s)
	if err == nil && a.Is4() {
		b := a.As4()
		v = uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
	} else if v, err = strconv.ParseUint(s, 0, 32); err != nil || !strings.HasPrefix(s, "0x") {
		return 0, fmt.Errorf("%s: invalid netmask", s)
	}
	for bits := range 33 {
		if v == 0xffffffff<<(32-bits)&0xffffffff {
			return bits, nil
		}
	}
	return 0, fmt.Errorf("%s: a netmask with holes", s)
}

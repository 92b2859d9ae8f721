package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/netsonde/netsonde/ping"
)

// millis prints a time as ping(8) does: three digits or more.
func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.0f", ms)
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.1f", ms)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.3f", ms)
}

// The words that ping(8) has for ICMP errors, by code.
var (
	unreachable4 = []string{
		"Destination Net Unreachable", "Destination Host Unreachable", "Destination Protocol Unreachable",
		"Destination Port Unreachable", "", "Source Route Failed", "Destination Net Unknown",
		"Destination Host Unknown", "Source Host Isolated", "Destination Net Prohibited",
		"Destination Host Prohibited", "Destination Net Unreachable for Type of Service",
		"Destination Host Unreachable for Type of Service", "Packet filtered", "Precedence Violation", "Precedence Cutoff",
	}
	unreachable6 = []string{
		"No route", "Administratively prohibited", "Beyond scope of source address", "Address unreachable", "Port unreachable",
	}
	problem6 = []string{"Wrong header field", "Unknown header", "Unknown option"}
)

func pick(words []string, code uint8, prefix, other string) string {
	if int(code) < len(words) {
		return prefix + words[code]
	}
	return fmt.Sprintf(other, code)
}

// icmpWords says what ping(8) would say about an ICMP error.
func icmpWords(e *ping.ICMPError) string {
	if e.From.Is4() {
		switch {
		case e.Type == 3 && e.Code == 4:
			return fmt.Sprintf("Frag needed and DF set (mtu = %d)", e.MTU)
		case e.Type == 3:
			return pick(unreachable4, e.Code, "", "Dest Unreachable, Bad Code: %d")
		case e.Type == 11:
			return pick([]string{"Time to live exceeded", "Frag reassembly time exceeded"}, e.Code, "", "Time exceeded, Bad Code: %d")
		case e.Type == 12:
			return "Parameter problem"
		}
		return fmt.Sprintf("Bad ICMP type: %d", e.Type)
	}
	switch e.Type {
	case 1:
		return pick(unreachable6, e.Code, "Destination unreachable: ", "Destination unreachable: Unknown code %d")
	case 2:
		return fmt.Sprintf("Packet too big: mtu=%d", e.MTU)
	case 3:
		return pick([]string{"Hop limit", "Defragmentation failure"}, e.Code, "Time exceeded: ", "Time exceeded: code %d")
	case 4:
		return pick(problem6, e.Code, "Parameter problem: ", "Parameter problem: code %d")
	}
	return fmt.Sprintf("unknown icmp type: %d", e.Type)
}

// recordWords prints what the IP options have gathered; same is whether the
// route is that of the reply before.
func recordWords(r *ping.Record, same bool) string {
	var b strings.Builder
	switch {
	case r == nil:
		return ""
	case r.Route != nil && same:
		return "\t(same route)"
	case r.Route != nil:
		b.WriteString("\nRR: ")
		for _, a := range r.Route {
			fmt.Fprintf(&b, "\t%v\n", a)
		}
	case r.Stamps != nil:
		b.WriteString("\nTS: ")
		for i, s := range r.Stamps {
			b.WriteByte('\t')
			if s.Addr.IsValid() {
				fmt.Fprintf(&b, "%v\t", s.Addr)
			}
			if i == 0 {
				fmt.Fprintf(&b, "%d absolute\n", s.Midnight.Milliseconds())
			} else {
				fmt.Fprintf(&b, "%d\n", (s.Midnight - r.Stamps[i-1].Midnight).Milliseconds())
			}
		}
		if r.Missed > 0 {
			fmt.Fprintf(&b, "Unrecorded hops: %d\n", r.Missed)
		}
	}
	return b.String()
}

// capital is how the C library writes the texts of errnos.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// withName prints an address, and its name if that is known.
func withName(a netip.Addr, name string) string {
	if name == "" {
		return shown(a)
	}
	return fmt.Sprintf("%s (%s)", name, shown(a))
}

package main

import (
	"fmt"
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
	redirect4 = []string{
		"Redirect Network", "Redirect Host", "Redirect Type of Service and Network", "Redirect Type of Service and Host",
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
			return fmt.Sprintf("Parameter problem: pointer = %d", e.Pointer)
		case e.Type == 4:
			return "Source Quench"
		case e.Type == 5:
			return fmt.Sprintf("%s(New nexthop: %v)", pick(redirect4, e.Code, "", "Redirect, Bad Code: %d"), e.Via)
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
		return pick(problem6, e.Code, "Parameter problem: ", "Parameter problem: code %d") + fmt.Sprintf(" at %d", e.Pointer)
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

// damageWords says which byte of a reply is wrong and shows all of them.
func damageWords(d *ping.Damage) string {
	if d == nil || d.Want == d.Got {
		return ""
	}
	const first = 16 // ping(8) has its time before that
	var b strings.Builder
	fmt.Fprintf(&b, "\nwrong data byte #%d should be 0x%x but was 0x%x", d.Offset, d.Want, d.Got)
	for i := first; i < len(d.Payload); i++ {
		if i%32 == first {
			fmt.Fprintf(&b, "\n#%d\t", i)
		}
		fmt.Fprintf(&b, "%x ", d.Payload[i])
	}
	return b.String()
}

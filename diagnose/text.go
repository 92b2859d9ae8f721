package diagnose

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
	"github.com/netsonde/netsonde/route"
)

func joinIDs(ids []FactID) string {
	var parts []string
	for _, id := range ids {
		parts = append(parts, string(id))
	}
	return strings.Join(parts, ", ")
}

// millis prints a round trip as ping does.
func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func joinAddrs(addrs []netip.Addr) string {
	var parts []string
	for _, a := range addrs {
		if a.IsValid() {
			parts = append(parts, a.String())
		}
	}
	return strings.Join(parts, ", ")
}

func firstValid(addrs []netip.Addr) netip.Addr {
	for _, a := range addrs {
		if a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// needOf says what would allow a refused operation.
func needOf(err error) string { return operr.NeedOf(err) }

// routeWord is the value of the fact about a route decision: "forward", or how
// the kernel refuses and whether a rule does.
func routeWord(d route.Decision) string {
	switch {
	case d.Assumed:
		return route.OutcomeNoRoute.String()
	case d.Rule != nil && d.Outcome != route.OutcomeForward:
		return "rule_" + d.Outcome.String()
	}
	return d.Outcome.String()
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return "the first hop"
	}
	return a.String()
}

func portText(p uint16) string { return strconv.Itoa(int(p)) }

func familyText(f int) string {
	if f == 0 {
		return "IP"
	}
	return "IPv" + strconv.Itoa(f)
}

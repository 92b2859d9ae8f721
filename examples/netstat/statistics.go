package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/sockets"
)

// line is how netstat words a counter. Those that have no words are printed
// under the kernel's name, where they are not zero.
type line struct {
	name, text string
	always     bool // also when it is zero
}

var ipLines = []line{
	{"InReceives", "total packets received", true},
	{"InHdrErrors", "with invalid headers", false},
	{"InTooBigErrors", "incoming packets too big", false},
	{"InNoRoutes", "incoming packets with no route", false},
	{"InAddrErrors", "with invalid addresses", false},
	{"ForwDatagrams", "forwarded", true},
	{"OutForwDatagrams", "forwarded", true},
	{"InUnknownProtos", "with unknown protocol", false},
	{"InDiscards", "incoming packets discarded", true},
	{"InDelivers", "incoming packets delivered", true},
	{"OutRequests", "requests sent out", true},
	{"OutDiscards", "outgoing packets dropped", false},
	{"OutNoRoutes", "dropped because of missing route", false},
	{"ReasmTimeout", "fragments dropped after timeout", false},
	{"ReasmReqds", "reassemblies required", false},
	{"ReasmOKs", "packets reassembled ok", false},
	{"ReasmFails", "packet reassembles failed", false},
	{"FragOKs", "fragments received ok", false},
	{"FragFails", "fragments failed", false},
	{"FragCreates", "fragments created", false},
}

// worded are the words by group; the groups of IPv6 have those of IPv4.
var worded = map[string][]line{
	"Ip": ipLines,
	"Icmp": {
		{"InMsgs", "ICMP messages received", true},
		{"InErrors", "input ICMP message failed", true},
		{"OutMsgs", "ICMP messages sent", true},
		{"OutErrors", "ICMP messages failed", true},
	},
	"Tcp": {
		{"ActiveOpens", "active connection openings", true},
		{"PassiveOpens", "passive connection openings", true},
		{"AttemptFails", "failed connection attempts", true},
		{"EstabResets", "connection resets received", true},
		{"CurrEstab", "connections established", true},
		{"InSegs", "segments received", true},
		{"OutSegs", "segments sent out", true},
		{"RetransSegs", "segments retransmitted", true},
		{"InErrs", "bad segments received", true},
		{"OutRsts", "resets sent", true},
	},
	"Udp": {
		{"InDatagrams", "packets received", true},
		{"NoPorts", "packets to unknown port received", true},
		{"InErrors", "packet receive errors", true},
		{"OutDatagrams", "packets sent", true},
		{"RcvbufErrors", "receive buffer errors", true},
		{"SndbufErrors", "send buffer errors", true},
	},
}

// icmpTypes are the words of netstat's ICMP histograms.
var icmpTypes = []line{
	{name: "DestUnreachs", text: "destination unreachable"},
	{name: "PktTooBigs", text: "packets too big"},
	{name: "TimeExcds", text: "timeout in transit"},
	{name: "ParmProbs", text: "wrong parameters"},
	{name: "SrcQuenchs", text: "source quenches"},
	{name: "Redirects", text: "redirects"},
	{name: "Echos", text: "echo requests"},
	{name: "EchoReps", text: "echo replies"},
	{name: "EchoReplies", text: "echo replies"},
	{name: "Timestamps", text: "timestamp request"},
	{name: "TimestampReps", text: "timestamp reply"},
	{name: "AddrMasks", text: "address mask request"},
	{name: "AddrMaskReps", text: "address mask replies"},
	{name: "RouterSolicits", text: "router solicits"},
	{name: "RouterAdvertisements", text: "router advertisement"},
	{name: "NeighborSolicits", text: "neighbour solicits"},
	{name: "NeighborAdvertisements", text: "neighbour advertisement"},
}

// settings are no counters, and netstat leaves them out.
var settings = []string{"DefaultTTL", "RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn"}

// statistics prints what the network stack has counted.
func (o *options) statistics(ctx context.Context) error {
	q := &sockets.Options{Family: sockets.FamilyIPv4}
	if o.v6 {
		q.Family = sockets.FamilyAny
	}
	groups, err := sockets.Counters(ctx, q)
	if err != nil {
		return err
	}
	groups = slices.DeleteFunc(groups, func(g sockets.CounterGroup) bool { return !o.wantsGroup(g.Name) })
	if o.json {
		return cli.PrintJSON(o.Stdout, groups)
	}
	var out strings.Builder
	for _, g := range groups {
		writeGroup(&out, g)
	}
	_, err = io.WriteString(o.Stdout, out.String())
	return err
}

func (o *options) wantsGroup(name string) bool {
	protocol := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(name, "Ext"), "6"))
	ip := protocol == "ip" || protocol == "icmp" || protocol == "icmpmsg"
	if o.v6 && !o.v4 && (ip || protocol == "udp" || protocol == "udplite") && !strings.HasSuffix(name, "6") {
		return false
	}
	switch {
	case !o.tcp && !o.udp && !o.raw:
		return true
	case protocol == "tcp" || protocol == "mptcp":
		return o.tcp
	case protocol == "udp" || protocol == "udplite":
		return o.udp
	}
	return o.raw && ip
}

// writeGroup writes the counters in the kernel's order, as netstat does.
func writeGroup(out *strings.Builder, g sockets.CounterGroup) {
	base := strings.TrimSuffix(g.Name, "6")
	fmt.Fprintf(out, "%s:\n", cli.Escape(g.Name))
	title := ""
	for _, c := range g.Counters {
		switch w, ok := find(worded[base], c.Name); {
		case ok:
			if c.Value != 0 || w.always {
				fmt.Fprintf(out, "    %d %s\n", c.Value, w.text)
			}
			continue
		case c.Value == 0 || slices.Contains(settings, c.Name):
			continue
		}
		if base == "Icmp" {
			if way, text := icmpType(c.Name); text != "" {
				if title != way {
					title = way
					fmt.Fprintf(out, "    ICMP %s histogram:\n", way)
				}
				fmt.Fprintf(out, "        %s: %d\n", text, c.Value)
				continue
			}
		}
		indent := "    "
		if base == "IcmpMsg" {
			indent += "    "
		}
		fmt.Fprintf(out, "%s%s: %d\n", indent, cli.Escape(c.Name), c.Value)
	}
}

func find(list []line, name string) (line, bool) {
	i := slices.IndexFunc(list, func(l line) bool { return l.name == name })
	if i < 0 {
		return line{}, false
	}
	return list[i], true
}

// icmpType returns the words for a counter of one type of messages.
func icmpType(name string) (way, text string) {
	if t, ok := strings.CutPrefix(name, "In"); ok {
		l, _ := find(icmpTypes, t)
		return "input", l.text
	}
	t, _ := strings.CutPrefix(name, "Out")
	l, _ := find(icmpTypes, t)
	return "output", l.text
}

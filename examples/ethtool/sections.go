package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// number is a value that the driver may not have.
func number(v *uint32) string {
	if v == nil {
		return "n/a"
	}
	return strconv.FormatUint(uint64(*v), 10)
}

func state(v *bool) string {
	if v == nil {
		return "n/a"
	}
	return onOff(*v)
}

func printRings(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	g := r.Rings
	if g == nil {
		return 0
	}
	fmt.Fprintf(b, "Ring parameters for %s:\nPre-set maximums:\n", cli.Escape(r.Name))
	four := func(rx, mini, jumbo, tx *uint32) {
		fmt.Fprintf(b, "RX:\t\t%s\nRX Mini:\t%s\nRX Jumbo:\t%s\nTX:\t\t%s\n", number(rx), number(mini), number(jumbo), number(tx))
	}
	four(g.RxMax, g.RxMiniMax, g.RxJumboMax, g.TxMax)
	b.WriteString("Current hardware settings:\n")
	four(g.Rx, g.RxMini, g.RxJumbo, g.Tx)
	fmt.Fprintf(b, "RX Buf Len:\t\t%s\nCQE Size:\t\t%s\nTX Push:\t%s\nTCP data split:\t%s\n",
		number(g.RxBufLen), number(g.CQESize), state(g.TxPush), state(g.TCPDataSplit))
	return 0
}

func printChannels(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	c := r.Channels
	if c == nil {
		return 0
	}
	fmt.Fprintf(b, "Channel parameters for %s:\nPre-set maximums:\n", cli.Escape(r.Name))
	four := func(rx, tx, other, combined *uint32) {
		fmt.Fprintf(b, "RX:\t\t%s\nTX:\t\t%s\nOther:\t\t%s\nCombined:\t%s\n", number(rx), number(tx), number(other), number(combined))
	}
	four(c.RxMax, c.TxMax, c.OtherMax, c.CombinedMax)
	b.WriteString("Current hardware settings:\n")
	four(c.Rx, c.Tx, c.Other, c.Combined)
	return 0
}

func printCoalesce(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	c := r.Coalesce
	if c == nil {
		return 0
	}
	fmt.Fprintf(b, "Coalesce parameters for %s:\nAdaptive RX: %s  TX: %s\n", cli.Escape(r.Name), state(c.AdaptiveRx), state(c.AdaptiveTx))
	for _, row := range []struct {
		name  string
		value *uint32
	}{
		{"stats-block-usecs", c.StatsBlockUsecs}, {"sample-interval", c.SampleInterval}, {"pkt-rate-low", c.PktRateLow}, {"pkt-rate-high", c.PktRateHigh}, {},
		{"rx-usecs", c.RxUsecs}, {"rx-frames", c.RxFrames}, {"rx-usecs-irq", c.RxUsecsIRQ}, {"rx-frames-irq", c.RxFramesIRQ}, {},
		{"tx-usecs", c.TxUsecs}, {"tx-frames", c.TxFrames}, {"tx-usecs-irq", c.TxUsecsIRQ}, {"tx-frames-irq", c.TxFramesIRQ}, {},
		{"rx-usecs-low", c.RxUsecsLow}, {"rx-frame-low", c.RxFramesLow}, {"tx-usecs-low", c.TxUsecsLow}, {"tx-frame-low", c.TxFramesLow}, {},
		{"rx-usecs-high", c.RxUsecsHigh}, {"rx-frame-high", c.RxFramesHigh}, {"tx-usecs-high", c.TxUsecsHigh}, {"tx-frame-high", c.TxFramesHigh}, {},
	} {
		if row.name != "" {
			fmt.Fprintf(b, "%s: %s", row.name, number(row.value))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "CQE mode RX: %s  TX: %s\n\n", state(c.CQEModeRx), state(c.CQEModeTx))
	return 0
}

func printPause(b *strings.Builder, o *options, r *link.EthtoolReport) int {
	p := r.Pause
	if p == nil {
		return 0
	}
	fmt.Fprintf(b, "Pause parameters for %s:\nAutonegotiate:\t%s\nRX:\t\t%s\nTX:\t\t%s\n", cli.Escape(r.Name), state(p.Autoneg), state(p.Rx), state(p.Tx))
	if m := r.Modes; m != nil && p.Autoneg != nil && *p.Autoneg && m.Partner != nil {
		rx, tx := negotiated(m.Advertised, m.Partner)
		fmt.Fprintf(b, "RX negotiated: %s\nTX negotiated: %s\n", onOff(rx), onOff(tx))
	}
	if o.stats && (p.TxFrames != nil || p.RxFrames != nil) {
		b.WriteString("Statistics:\n")
		for _, row := range []struct {
			name  string
			value *uint64
		}{{"tx_pause_frames", p.TxFrames}, {"rx_pause_frames", p.RxFrames}} {
			if row.value != nil {
				fmt.Fprintf(b, "  %s: %d\n", row.name, *row.value)
			}
		}
	}
	b.WriteString("\n")
	return 0
}

// negotiated is what flow control comes to (IEEE 802.3, table 28B-3).
func negotiated(ours, partner link.Words) (rx, tx bool) {
	if ours.Has("Pause") && partner.Has("Pause") {
		return true, true
	}
	if ours.Has("Asym_Pause") && partner.Has("Asym_Pause") {
		return ours.Has("Pause"), partner.Has("Pause")
	}
	return false, false
}

func printFEC(b *strings.Builder, o *options, r *link.EthtoolReport) int {
	f := r.FEC
	if f == nil {
		return 0
	}
	encodings := link.Words{}
	if f.Auto {
		encodings = append(encodings, "Auto")
	}
	for _, w := range f.Configured {
		encodings = append(encodings, encoding(w))
	}
	if len(encodings) == 0 {
		encodings = link.Words{"None"}
	}
	fmt.Fprintf(b, "FEC parameters for %s:\nSupported/Configured FEC encodings: %s\n", cli.Escape(r.Name), words(encodings, " "))
	active := "None"
	if f.Active != "" {
		active = encoding(f.Active)
	}
	fmt.Fprintf(b, "Active FEC encoding: %s\n", cli.Escape(active))
	if o.stats && len(f.Corrected)+len(f.Uncorrectable)+len(f.CorrectedBits) > 0 {
		b.WriteString("Statistics:\n")
		writeLanes(b, "corrected_blocks", f.Corrected)
		writeLanes(b, "uncorrectable_blocks", f.Uncorrectable)
		writeLanes(b, "corrected_bits", f.CorrectedBits)
	}
	return 0
}

func encoding(word string) string {
	switch word {
	case "None":
		return "Off"
	case "BASER":
		return "BaseR"
	}
	return word
}

func writeLanes(b *strings.Builder, name string, counts []uint64) {
	for i, n := range counts {
		if i == 0 {
			fmt.Fprintf(b, "  %s: %d\n", name, n)
		} else {
			fmt.Fprintf(b, "    Lane %d: %d\n", i-1, n)
		}
	}
}

func printEEE(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	e := r.EEE
	if e == nil {
		return 0
	}
	fmt.Fprintf(b, "EEE settings for %s:\n\tEEE status: ", cli.Escape(r.Name))
	switch is := func(v *bool) bool { return v != nil && *v }; {
	case len(e.Supported) == 0:
		b.WriteString("not supported\n")
		return 0
	case !is(e.Enabled):
		b.WriteString("disabled\n")
	case is(e.Active):
		b.WriteString("enabled - active\n")
	default:
		b.WriteString("enabled - inactive\n")
	}
	if e.TxLPI != nil && *e.TxLPI {
		fmt.Fprintf(b, "\tTx LPI: %s (us)\n", number(e.TxLPITimer))
	} else {
		b.WriteString("\tTx LPI: disabled\n")
	}
	writeList(b, "Supported EEE link modes:  ", e.Supported)
	writeList(b, "Advertised EEE link modes:  ", e.Advertised)
	writeList(b, "Link partner advertised EEE link modes:  ", e.Partner)
	return 0
}

func printTimestamping(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	t := r.Timestamping
	if t == nil {
		return 0
	}
	fmt.Fprintf(b, "Time stamping parameters for %s:\n", cli.Escape(r.Name))
	list := func(title string, set link.Words) {
		b.WriteString(title + ":")
		if len(set) == 0 {
			b.WriteString(" none\n")
			return
		}
		b.WriteString("\n")
		for _, w := range set {
			fmt.Fprintf(b, "\t%s\n", cli.Escape(w))
		}
	}
	list("Capabilities", t.Capabilities)
	phc := "none"
	if t.PHC != nil {
		phc = number(t.PHC)
	}
	fmt.Fprintf(b, "PTP Hardware Clock: %s\n", phc)
	list("Hardware Transmit Timestamp Modes", t.TxTypes)
	list("Hardware Receive Filter Modes", t.RxFilters)
	return 0
}

func printPrivateFlags(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	if len(r.PrivateFlags) == 0 {
		return 0
	}
	width := 0
	for _, f := range r.PrivateFlags {
		width = max(width, len(f.Name))
	}
	fmt.Fprintf(b, "Private flags for %s:\n", cli.Escape(r.Name))
	for _, f := range r.PrivateFlags {
		fmt.Fprintf(b, "%-*s: %s\n", width, cli.Escape(f.Name), onOff(f.On))
	}
	return 0
}

func printPermAddr(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	if len(r.PermAddr) == 0 {
		b.WriteString("Permanent address: not set\n")
	} else {
		fmt.Fprintf(b, "Permanent address: %s\n", r.PermAddr)
	}
	return 0
}

func printDriver(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	d := r.Driver
	if d == nil {
		return 0
	}
	for _, row := range [][2]string{
		{"driver", d.Driver}, {"version", d.Version}, {"firmware-version", d.Firmware}, {"expansion-rom-version", d.ExpansionROM}, {"bus-info", d.Bus},
		{"supports-statistics", yesNo(d.Stats > 0)}, {"supports-test", yesNo(d.TestLen > 0)}, {"supports-eeprom-access", yesNo(d.EEPROMLen > 0)},
		{"supports-register-dump", yesNo(d.RegistersLen > 0)}, {"supports-priv-flags", yesNo(d.PrivateFlags > 0)},
	} {
		fmt.Fprintf(b, "%s: %s\n", row[0], cli.Escape(row[1]))
	}
	return 0
}

func printStats(b *strings.Builder, o *options, r *link.EthtoolReport) int {
	if o.groups || o.allGroups {
		if r.Errors.Of(link.SectionStandard) == nil {
			writeGroups(b, r)
		}
		return 0
	}
	if len(r.DriverStats) > 0 {
		b.WriteString("NIC statistics:\n")
	}
	for _, s := range r.DriverStats {
		fmt.Fprintf(b, "     %s: %d\n", cli.Escape(s.Name), s.Value)
	}
	return 0
}

func writeGroups(b *strings.Builder, r *link.EthtoolReport) {
	fmt.Fprintf(b, "Standard stats for %s:\n", cli.Escape(r.Name))
	for _, g := range r.Standard {
		for _, s := range g.Stats {
			fmt.Fprintf(b, "%s-%s: %d\n", cli.Escape(g.Name), cli.Escape(s.Name), s.Value)
		}
		for _, h := range []struct {
			way     string
			buckets []link.Bucket
		}{{"rx", g.Rx}, {"tx", g.Tx}} {
			for _, k := range h.buckets {
				fmt.Fprintf(b, "%s-%s-etherStatsPkts%sOctets: %d\n", h.way, cli.Escape(g.Name), octets(k), k.Count)
			}
		}
	}
}

func octets(k link.Bucket) string {
	switch {
	case k.High == 0:
		return fmt.Sprintf("%dtoMax", k.Low)
	case k.Low == 0, k.Low == k.High:
		return fmt.Sprint(k.High)
	}
	return fmt.Sprintf("%dto%d", k.Low, k.High)
}

func printRSS(b *strings.Builder, _ *options, r *link.EthtoolReport) int {
	x := r.RSS
	if x == nil {
		return 0
	}
	fmt.Fprintf(b, "RX flow hash indirection table for %s with %d RX ring(s):\n", cli.Escape(r.Name), x.Rings)
	for i, queue := range x.Indirection {
		if i%8 == 0 {
			if i > 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(b, "%5d: ", i)
		}
		fmt.Fprintf(b, " %5d", queue)
	}
	if len(x.Indirection) > 0 {
		b.WriteString("\n")
	} else {
		b.WriteString("Operation not supported\n")
	}
	b.WriteString("RSS hash key:\n")
	if len(x.Key) > 0 {
		fmt.Fprintf(b, "%s\n", link.HardwareAddr(x.Key))
	} else {
		b.WriteString("Operation not supported\n")
	}
	b.WriteString("RSS hash function:\n")
	if len(x.Function) == 0 {
		b.WriteString("    Operation not supported\n")
		return 0
	}
	for _, f := range x.Functions {
		fmt.Fprintf(b, "    %s: %s\n", cli.Escape(f), onOff(x.Function.Has(f)))
	}
	return 0
}

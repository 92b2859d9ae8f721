package main

import (
	"fmt"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

func printSettings(b *strings.Builder, o *options, r *link.EthtoolReport) int {
	s := r.Settings
	if s.Modes == nil && s.Info == nil && s.State == nil && s.Wake == nil && s.Messages == nil {
		b.WriteString("No data available\n")
		return exitNoData
	}
	fmt.Fprintf(b, "Settings for %s:\n", cli.Escape(s.Name))
	if s.Modes != nil {
		writeModes(b, s.Modes)
		if s.Modes.Virtual && s.Modes.Speed != 0 && o.verbose {
			o.Warn("%s is made of software: its speed and duplex mode are made up", s.Name)
		}
	}
	if s.Info != nil {
		writeInfo(b, s.Info)
	}
	if s.Wake != nil {
		fmt.Fprintf(b, "\tSupports Wake-on: %s\n\tWake-on: %s\n", wakeLetters(s.Wake.Supported), wakeLetters(s.Wake.Enabled))
		if s.Wake.Supported.Has("magicsecure") && len(s.Wake.Password) > 0 {
			fmt.Fprintf(b, "        SecureOn password: %s\n", link.HardwareAddr(s.Wake.Password))
		}
	}
	if s.Messages != nil {
		fmt.Fprintf(b, "        Current message level: 0x%08x (%d)\n                              ", s.Messages.Mask, s.Messages.Mask)
		for _, word := range s.Messages.Words {
			b.WriteString(" " + cli.Escape(word))
		}
		b.WriteString("\n")
	}
	if s.State != nil {
		writeState(b, s.State)
	}
	return 0
}

func writeModes(b *strings.Builder, m *link.LinkModes) {
	fmt.Fprintf(b, "\tSupported ports: [ %s ]\n", words(m.Supported.Kind(link.ModePort), "\t "))
	writeSet(b, "Supported", "Supports", m.Supported)
	writeSet(b, "Advertised", "Advertised", m.Advertised)
	if m.Partner != nil {
		writeSet(b, "Link partner advertised", "Link partner advertised", m.Partner)
	}
	if m.Speed == 0 {
		b.WriteString("\tSpeed: Unknown!\n")
	} else {
		fmt.Fprintf(b, "\tSpeed: %v\n", m.Speed)
	}
	if m.Lanes != 0 {
		fmt.Fprintf(b, "\tLanes: %d\n", m.Lanes)
	}
	fmt.Fprintf(b, "\tDuplex: %s\n", duplex(m.Duplex))
	fmt.Fprintf(b, "\tAuto-negotiation: %s\n", onOff(m.Autoneg))
	if m.MasterSlave != link.MasterSlaveUnsupported {
		fmt.Fprintf(b, "\tmaster-slave cfg: %s\n", word(m.MasterSlave.String(), uint8(m.MasterSlave), masterSlave))
	}
	if m.MasterState != link.MasterStateUnsupported {
		fmt.Fprintf(b, "\tmaster-slave status: %s\n", word(m.MasterState.String(), uint8(m.MasterState), masterState))
	}
}

var (
	masterSlave = map[string]string{"unknown": "unknown", "preferred_master": "preferred master", "preferred_slave": "preferred slave",
		"forced_master": "forced master", "forced_slave": "forced slave"}
	masterState = map[string]string{"unknown": "unknown", "master": "master", "slave": "slave", "resolution_error": "resolution error"}
)

// word puts a library word into ethtool's, by a table; others keep their number.
func word(w string, number uint8, table map[string]string) string {
	if text, ok := table[w]; ok {
		return text
	}
	return fmt.Sprintf("Unknown! (%d)", number)
}

func writeSet(b *strings.Builder, title, verb string, set link.Words) {
	writeList(b, fmt.Sprintf("%-24s", title+" link modes:  "), set.Modes())
	fmt.Fprintf(b, "\t%s pause frame use: %s\n", title, pause(set))
	autoneg := "No"
	if set.Has("Autoneg") {
		autoneg = "Yes"
	}
	fmt.Fprintf(b, "\t%s auto-negotiation: %s\n", verb, autoneg)
	fec := set.Kind(link.ModeFEC)
	text := "Not reported"
	if len(fec) > 0 {
		text = words(fec, "\t ")
	}
	fmt.Fprintf(b, "\t%s FEC modes: %s\n", title, text)
}

// writeList prints modes one to a line, half and full duplex of a kind together.
func writeList(b *strings.Builder, label string, modes link.Words) {
	b.WriteString("\t" + label)
	if len(modes) == 0 {
		b.WriteString("Not reported\n")
		return
	}
	indent := "\n\t" + strings.Repeat(" ", len(label))
	for i, m := range modes {
		switch {
		case i == 0:
		case together(modes[i-1], m):
			b.WriteString(" ")
		default:
			b.WriteString(indent)
		}
		b.WriteString(cli.Escape(m))
	}
	b.WriteString("\n")
}

func together(a, b string) bool {
	kind, half := strings.CutSuffix(a, "/Half")
	return half && b == kind+"/Full"
}

func pause(set link.Words) string {
	switch sym, asym := set.Has("Pause"), set.Has("Asym_Pause"); {
	case sym && asym:
		return "Symmetric Receive-only"
	case sym:
		return "Symmetric"
	case asym:
		return "Transmit-only"
	}
	return "No"
}

func duplex(d link.Duplex) string {
	switch d {
	case link.DuplexHalf:
		return "Half"
	case link.DuplexFull:
		return "Full"
	}
	return fmt.Sprintf("Unknown! (%d)", uint8(d)-1)
}

func writeInfo(b *strings.Builder, i *link.LinkInfo) {
	ports := map[string]string{"tp": "Twisted Pair", "aui": "AUI", "mii": "MII", "fibre": "FIBRE", "bnc": "BNC",
		"da": "Direct Attach Copper", "none": "None", "other": "Other"}
	fmt.Fprintf(b, "\tPort: %s\n", word(i.Port.String(), uint8(i.Port)-1, ports))
	fmt.Fprintf(b, "\tPHYAD: %d\n", i.PHYAddr)
	places := map[string]string{"internal": "internal", "external": "external"}
	fmt.Fprintf(b, "\tTransceiver: %s\n", word(i.Transceiver.String(), uint8(i.Transceiver), places))
	if i.Port == link.PortTP {
		fmt.Fprintf(b, "\tMDI-X: %s\n", mdix(i))
	}
}

func mdix(i *link.LinkInfo) string {
	switch i.MDIXCtrl {
	case link.MDIXOff:
		return "off (forced)"
	case link.MDIXOn:
		return "on (forced)"
	}
	text := "Unknown"
	switch i.MDIX {
	case link.MDIXOff:
		text = "off"
	case link.MDIXOn:
		text = "on"
	}
	if i.MDIXCtrl == link.MDIXAuto {
		text += " (auto)"
	}
	return text
}

// wakeLetters are the letters of wake-on-LAN in ethtool(8).
func wakeLetters(set link.Words) string {
	if len(set) == 0 {
		return "d"
	}
	letters := map[string]string{"phy": "p", "ucast": "u", "mcast": "m", "bcast": "b", "arp": "a", "magic": "g", "magicsecure": "s", "filter": "f"}
	var text strings.Builder
	for _, w := range set {
		if l := letters[w]; l != "" {
			text.WriteString(l)
		} else {
			text.WriteString("?")
		}
	}
	return text.String()
}

func writeState(b *strings.Builder, s *link.LinkState) {
	fmt.Fprintf(b, "\tLink detected: %s", yesNo(s.Detected))
	if s.ExtState != "" {
		state, sub := extState(s.ExtState), ""
		if s.ExtSubstate != "" {
			sub = ", " + extState(s.ExtState+"/"+s.ExtSubstate)
		}
		fmt.Fprintf(b, " (%s%s)", state, sub)
	}
	b.WriteString("\n")
	if s.SQI != nil {
		fmt.Fprintf(b, "\tSQI: %d", *s.SQI)
		if s.SQIMax != nil {
			fmt.Fprintf(b, "/%d", *s.SQIMax)
		}
		b.WriteString("\n")
	}
}

// extState is a state, or a state and its substate, in ethtool's words; its
// number where there are none.
func extState(w string) string {
	if text, ok := extStates[w]; ok {
		return text
	}
	if _, number, ok := strings.Cut(w, "state("); ok {
		return strings.TrimSuffix(number, ")")
	}
	_, last, ok := strings.Cut(w, "/")
	if !ok {
		last = w
	}
	return strings.ReplaceAll(cli.Escape(last), "_", " ")
}

var extStates = map[string]string{
	"autoneg": "Autoneg", "link_training_failure": "Link training failure", "link_logical_mismatch": "Logical mismatch",
	"bad_signal_integrity": "Bad signal integrity", "no_cable": "No cable", "cable_issue": "Cable issue", "eeprom_issue": "EEPROM issue",
	"calibration_failure": "Calibration failure", "power_budget_exceeded": "Power budget exceeded", "overheat": "Overheat", "module": "Module",

	"autoneg/no_partner_detected": "No partner detected", "autoneg/ack_not_received": "Ack not received",
	"autoneg/next_page_exchange_failed":      "Next page exchange failed",
	"autoneg/no_partner_detected_force_mode": "No partner detected during force mode",
	"autoneg/fec_mismatch_during_override":   "FEC mismatch during override", "autoneg/no_hcd": "No HCD",

	"link_training_failure/kr_frame_lock_not_acquired":                 "KR frame lock not acquired",
	"link_training_failure/kr_link_inhibit_timeout":                    "KR link inhibit timeout",
	"link_training_failure/kr_link_partner_did_not_set_receiver_ready": "KR Link partner did not set receiver ready",
	"link_training_failure/remote_fault":                               "Remote side is not ready yet",

	"link_logical_mismatch/pcs_did_not_acquire_block_lock": "PCS did not acquire block lock",
	"link_logical_mismatch/pcs_did_not_acquire_am_lock":    "PCS did not acquire AM lock",
	"link_logical_mismatch/pcs_did_not_get_align_status":   "PCS did not get align_status",
	"link_logical_mismatch/fc_fec_is_not_locked":           "FC FEC is not locked",
	"link_logical_mismatch/rs_fec_is_not_locked":           "RS FEC is not locked",

	"bad_signal_integrity/large_number_of_physical_errors": "Large number of physical errors",
	"bad_signal_integrity/unsupported_rate":                "Unsupported rate",
	"bad_signal_integrity/serdes_reference_clock_lost":     "Serdes reference clock lost",
	"bad_signal_integrity/serdes_alos":                     "Serdes ALOS",

	"cable_issue/unsupported_cable": "Unsupported cable", "cable_issue/cable_test_failure": "Cable test failure",
	"module/cmis_not_ready": "CMIS module is not in ModuleReady state",
}

func words(set link.Words, between string) string {
	clean := make([]string, len(set))
	for i, w := range set {
		clean[i] = cli.Escape(w)
	}
	return strings.Join(clean, between)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

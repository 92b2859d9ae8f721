package link

// fixedNames returns the words of a set for kernels that cannot be asked
// (before Linux 5.6): linux/ethtool.h, linux/net_tstamp.h. nil for a set that only
// the kernel knows.
func fixedNames(set uint32) []string {
	switch set {
	case setLinkModes:
		return linkModeWords
	case setMessages:
		return []string{"drv", "probe", "link", "timer", "ifdown", "ifup", "rx_err", "tx_err", "tx_queued", "intr", "tx_done",
			"rx_status", "pktdata", "hw", "wol"}
	case setWOL:
		return []string{"phy", "ucast", "mcast", "bcast", "arp", "magic", "magicsecure", "filter"}
	case setTimestamp:
		return []string{"hardware-transmit", "software-transmit", "hardware-receive", "software-receive", "software-system-clock",
			"hardware-legacy-clock", "hardware-raw-clock", "option-id", "sched-transmit", "ack-transmit", "option-cmsg",
			"option-tsonly", "option-stats", "option-pktinfo", "option-tx-swhw"}
	case setTxTypes:
		return []string{"off", "on", "onestep-sync", "onestep-p2p"}
	case setRxFilters:
		return []string{"none", "all", "some", "ptpv1-l4-event", "ptpv1-l4-sync", "ptpv1-l4-delay-req", "ptpv2-l4-event",
			"ptpv2-l4-sync", "ptpv2-l4-delay-req", "ptpv2-l2-event", "ptpv2-l2-sync", "ptpv2-l2-delay-req", "ptpv2-event",
			"ptpv2-sync", "ptpv2-delay-req", "ntp-all"}
	}
	return nil
}

// linkModeWords are ETHTOOL_LINK_MODE_*_BIT.
var linkModeWords = []string{
	"10baseT/Half", "10baseT/Full", "100baseT/Half", "100baseT/Full", "1000baseT/Half", "1000baseT/Full", "Autoneg", "TP",
	"AUI", "MII", "FIBRE", "BNC", "10000baseT/Full", "Pause", "Asym_Pause", "2500baseX/Full", "Backplane", "1000baseKX/Full",
	"10000baseKX4/Full", "10000baseKR/Full", "10000baseR_FEC", "20000baseMLD2/Full", "20000baseKR2/Full", "40000baseKR4/Full",
	"40000baseCR4/Full", "40000baseSR4/Full", "40000baseLR4/Full", "56000baseKR4/Full", "56000baseCR4/Full",
	"56000baseSR4/Full", "56000baseLR4/Full", "25000baseCR/Full", "25000baseKR/Full", "25000baseSR/Full", "50000baseCR2/Full",
	"50000baseKR2/Full", "100000baseKR4/Full", "100000baseSR4/Full", "100000baseCR4/Full", "100000baseLR4_ER4/Full",
	"50000baseSR2/Full", "1000baseX/Full", "10000baseCR/Full", "10000baseSR/Full", "10000baseLR/Full", "10000baseLRM/Full",
	"10000baseER/Full", "2500baseT/Full", "5000baseT/Full", "None", "RS", "BASER", "50000baseKR/Full", "50000baseSR/Full",
	"50000baseCR/Full", "50000baseLR_ER_FR/Full", "50000baseDR/Full", "100000baseKR2/Full", "100000baseSR2/Full",
	"100000baseCR2/Full", "100000baseLR2_ER2_FR2/Full", "100000baseDR2/Full", "200000baseKR4/Full", "200000baseSR4/Full",
	"200000baseLR4_ER4_FR4/Full", "200000baseDR4/Full", "200000baseCR4/Full", "100baseT1/Full", "1000baseT1/Full",
	"400000baseKR8/Full", "400000baseSR8/Full", "400000baseLR8_ER8_FR8/Full", "400000baseDR8/Full", "400000baseCR8/Full",
	"LLRS", "100000baseKR/Full", "100000baseSR/Full", "100000baseLR_ER_FR/Full", "100000baseCR/Full", "100000baseDR/Full",
	"200000baseKR2/Full", "200000baseSR2/Full", "200000baseLR2_ER2_FR2/Full", "200000baseDR2/Full", "200000baseCR2/Full",
	"400000baseKR4/Full", "400000baseSR4/Full", "400000baseLR4_ER4_FR4/Full", "400000baseDR4/Full", "400000baseCR4/Full",
	"100baseFX/Half", "100baseFX/Full", "10baseT1L/Full", "800000baseCR8/Full", "800000baseKR8/Full", "800000baseDR8/Full",
	"800000baseDR8_2/Full", "800000baseSR8/Full", "800000baseVR8/Full", "10baseT1S/Full", "10baseT1S/Half",
	"10baseT1S_P2MP/Half", "10baseT1BRR/Full", "200000baseCR/Full", "200000baseKR/Full", "200000baseDR/Full",
	"200000baseDR_2/Full", "200000baseSR/Full", "200000baseVR/Full", "400000baseCR2/Full", "400000baseKR2/Full",
	"400000baseDR2/Full", "400000baseDR2_2/Full", "400000baseSR2/Full", "400000baseVR2/Full", "800000baseCR4/Full",
	"800000baseKR4/Full", "800000baseDR4/Full", "800000baseDR4_2/Full", "800000baseSR4/Full", "800000baseVR4/Full",
}

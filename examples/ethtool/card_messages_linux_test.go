package main

import (
	"math/rand/v2"
	"slices"

	"github.com/netsonde/netsonde/internal/nl"
)

// Random answers of the ethtool family (linux/ethtool_netlink.h), in the form that
// ethtool asks for: bits by name.

// Messages, ETHTOOL_MSG_*_GET.
const (
	msgLinkInfo  = 2
	msgLinkModes = 4
	msgLinkState = 6
	msgDebug     = 7
	msgWOL       = 9
	msgPrivFlags = 13
	msgRings     = 15
	msgChannels  = 17
	msgCoalesce  = 19
	msgPause     = 21
	msgEEE       = 23
	msgTSInfo    = 25
	msgFEC       = 29
)

// modeNames are the first ETHTOOL_LINK_MODE_*_BIT.
var modeNames = []string{
	"10baseT/Half", "10baseT/Full", "100baseT/Half", "100baseT/Full", "1000baseT/Half", "1000baseT/Full", "Autoneg", "TP",
	"AUI", "MII", "FIBRE", "BNC", "10000baseT/Full", "Pause", "Asym_Pause", "2500baseX/Full", "Backplane", "1000baseKX/Full",
	"10000baseKX4/Full", "10000baseKR/Full", "10000baseR_FEC", "20000baseMLD2/Full", "20000baseKR2/Full", "40000baseKR4/Full",
	"40000baseCR4/Full", "40000baseSR4/Full", "40000baseLR4/Full", "56000baseKR4/Full", "56000baseCR4/Full",
	"56000baseSR4/Full", "56000baseLR4/Full", "25000baseCR/Full", "25000baseKR/Full", "25000baseSR/Full", "50000baseCR2/Full",
	"50000baseKR2/Full", "100000baseKR4/Full", "100000baseSR4/Full", "100000baseCR4/Full", "100000baseLR4_ER4/Full",
	"50000baseSR2/Full", "1000baseX/Full", "10000baseCR/Full", "10000baseSR/Full", "10000baseLR/Full", "10000baseLRM/Full",
	"10000baseER/Full", "2500baseT/Full", "5000baseT/Full", "None", "RS", "BASER",
}

var (
	wakeNames    = []string{"phy", "ucast", "mcast", "bcast", "arp", "magic", "magicsecure", "filter"}
	messageNames = []string{"drv", "probe", "link", "timer", "ifdown", "ifup", "rx_err", "tx_err", "tx_queued", "intr", "tx_done", "rx_status", "pktdata", "hw", "wol"}
	stampNames   = []string{"hardware-transmit", "software-transmit", "hardware-receive", "software-receive", "software-system-clock", "hardware-legacy-clock", "hardware-raw-clock"}
	txNames      = []string{"off", "on", "onestep-sync", "onestep-p2p"}
	rxNames      = []string{"none", "all", "some", "ptpv1-l4-event", "ptpv1-l4-sync", "ptpv1-l4-delay-req", "ptpv2-l4-event", "ptpv2-l4-sync"}
	flagNames    = []string{"s0ix-enabled", "legacy-rx", "a", "with blanks in it"}
)

// message begins an answer about lo.
func message() []byte {
	return nl.AppendNested(nil, 1, func(b []byte) []byte { return nl.AppendText(nl.AppendU32(b, 1, 1), 2, "lo") })
}

// subset takes each bit of a set with a chance of one in n.
func subset(rng *rand.Rand, names []string, n int) (bits []int) {
	for i := range names {
		if rng.IntN(n) == 0 {
			bits = append(bits, i)
		}
	}
	return bits
}

// bitset appends one; a nil mask is none.
func bitset(b []byte, typ uint16, names []string, value, mask []int) []byte {
	listed := mask
	if mask == nil {
		listed = value
	}
	return nl.AppendNested(b, typ, func(b []byte) []byte {
		if mask == nil {
			b = nl.Append(b, 1, nil)
		}
		b = nl.AppendU32(b, 2, uint32(len(names)))
		return nl.AppendNested(b, 3, func(b []byte) []byte {
			for _, i := range listed {
				b = nl.AppendNested(b, 1, func(b []byte) []byte {
					b = nl.AppendText(nl.AppendU32(b, 1, uint32(i)), 2, names[i])
					if mask != nil && slices.Contains(value, i) {
						b = nl.Append(b, 3, nil)
					}
					return b
				})
			}
			return b
		})
	})
}

// both is what is supported and what of it is on.
func both(rng *rand.Rand, b []byte, typ uint16, names []string) []byte {
	mask := subset(rng, names, 2)
	if mask == nil {
		mask = []int{}
	}
	var value []int
	for _, i := range mask {
		if rng.IntN(2) == 0 {
			value = append(value, i)
		}
	}
	return bitset(b, typ, names, value, mask)
}

func number32(rng *rand.Rand) uint32 { return rng.Uint32() >> rng.IntN(32) }

// maybe32 appends attributes of 32 bits, each with a chance of one in two.
func maybe32(rng *rand.Rand, b []byte, types ...uint16) []byte {
	for _, typ := range types {
		if rng.IntN(2) == 0 {
			b = nl.AppendU32(b, typ, number32(rng))
		}
	}
	return b
}

func maybe8(rng *rand.Rand, b []byte, below int, types ...uint16) []byte {
	for _, typ := range types {
		if rng.IntN(2) == 0 {
			b = nl.AppendU8(b, typ, uint8(rng.IntN(below)))
		}
	}
	return b
}

func linkModes(rng *rand.Rand) []byte {
	b := both(rng, nl.AppendU8(message(), 2, uint8(rng.IntN(2))), 3, modeNames)
	if rng.IntN(2) == 0 {
		b = bitset(b, 4, modeNames, subset(rng, modeNames, 3), nil)
	}
	speed := []uint32{10, 100, 1000, 25000, 0xffffffff, 0xffff, number32(rng) | 1}[rng.IntN(7)]
	b = nl.AppendU8(nl.AppendU32(b, 5, speed), 6, []uint8{0, 1, 0xff}[rng.IntN(3)])
	for typ := uint16(7); typ <= 8; typ++ { // 0 is unsupported, which is not sent
		if rng.IntN(2) == 0 {
			b = nl.AppendU8(b, typ, uint8(1+rng.IntN(6)))
		}
	}
	if rng.IntN(2) == 0 {
		b = nl.AppendU32(b, 9, uint32(1+rng.IntN(8)))
	}
	return b
}

func linkInfo(rng *rand.Rand) []byte {
	b := nl.AppendU8(message(), 2, []uint8{0, 0, 1, 2, 3, 4, 5, 0xef, 0xff}[rng.IntN(9)])
	b = nl.AppendU8(nl.AppendU8(b, 3, uint8(rng.IntN(32))), 4, uint8(rng.IntN(3)))
	return nl.AppendU8(nl.AppendU8(b, 5, uint8(rng.IntN(4))), 6, uint8(rng.IntN(4)))
}

func linkState(rng *rand.Rand) []byte {
	b := nl.AppendU8(message(), 2, uint8(rng.IntN(2)))
	if rng.IntN(2) == 0 {
		b = nl.AppendU32(b, 3, uint32(rng.IntN(8)))
		b = nl.AppendU32(b, 4, 7)
	}
	if rng.IntN(2) == 0 {
		b = nl.AppendU8(b, 5, uint8(rng.IntN(11)))
		b = maybe8(rng, b, 7, 6)
	}
	return b
}

func wakeOnLAN(rng *rand.Rand) []byte {
	return nl.Append(both(rng, message(), 2, wakeNames), 3, randomBytes(rng, 6))
}

func pauseMessage(rng *rand.Rand) []byte {
	b := nl.AppendU8(message(), 2, uint8(rng.IntN(2)))
	return nl.AppendU8(nl.AppendU8(b, 3, uint8(rng.IntN(2))), 4, uint8(rng.IntN(2)))
}

func eeeMessage(rng *rand.Rand) []byte {
	b := both(rng, message(), 2, modeNames[:6])
	b = bitset(b, 3, modeNames, subset(rng, modeNames[:6], 2), nil)
	for typ := uint16(4); typ <= 6; typ++ {
		b = nl.AppendU8(b, typ, uint8(rng.IntN(2)))
	}
	return nl.AppendU32(b, 7, number32(rng))
}

func fecMessage(rng *rand.Rand) []byte {
	var value []int
	for _, i := range []int{49, 50, 51} {
		if rng.IntN(2) == 0 {
			value = append(value, i)
		}
	}
	b := nl.AppendU8(bitset(message(), 2, modeNames, value, nil), 3, uint8(rng.IntN(2)))
	if rng.IntN(4) > 0 {
		b = nl.AppendU32(b, 4, uint32(49+rng.IntN(3)))
	}
	return b
}

func tsInfo(rng *rand.Rand) []byte {
	b := message()
	for i, names := range [][]string{stampNames, txNames, rxNames} {
		set := subset(rng, names, 2)
		if i == 0 && set == nil { // the kernel itself can stamp
			set = []int{4}
		}
		if len(set) > 0 {
			b = bitset(b, uint16(2+i), names, set, nil)
		}
	}
	if rng.IntN(2) == 0 {
		b = nl.AppendU32(b, 5, uint32(rng.IntN(16)))
	}
	return b
}

func privFlags(rng *rand.Rand) []byte {
	return bitset(message(), 2, flagNames, subset(rng, flagNames, 2), []int{0, 1, 2, 3})
}

func coalesce(rng *rand.Rand) []byte {
	b := message()
	for typ := uint16(2); typ <= 25; typ++ {
		switch typ {
		case 11, 12, 24, 25:
			b = maybe8(rng, b, 2, typ)
		default:
			b = maybe32(rng, b, typ)
		}
	}
	return b
}

func rings(rng *rand.Rand) []byte {
	b := maybe32(rng, message(), 2, 3, 4, 5, 6, 7, 8, 9, 10)
	return maybe8(rng, maybe32(rng, maybe8(rng, b, 3, 11), 12), 2, 13)
}

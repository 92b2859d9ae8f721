package main

import (
	"encoding/binary"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// randomCard answers every question over netlink.
func randomCard(rng *rand.Rand) *lab.Card {
	return &lab.Card{
		Messages: map[uint8][]byte{
			msgLinkModes: linkModes(rng), msgLinkInfo: linkInfo(rng), msgLinkState: linkState(rng), msgWOL: wakeOnLAN(rng),
			msgDebug: both(rng, message(), 2, messageNames), msgPrivFlags: privFlags(rng),
			msgRings: rings(rng), msgChannels: maybe32(rng, message(), 2, 3, 4, 5, 6, 7, 8, 9), msgCoalesce: coalesce(rng),
			msgPause: pauseMessage(rng), msgEEE: eeeMessage(rng), msgFEC: fecMessage(rng), msgTSInfo: tsInfo(rng),
		},
		Sets: map[uint32][]string{2: flagNames, 9: modeNames},
	}
}

// What a driver answers over netlink reads the same, to the blank.
func TestSections(t *testing.T) {
	tool := lab.NewCardTool(t, "ethtool")
	questions := []string{"", "-g", "-l", "-c", "-a", "-T", "--show-eee", "--show-fec", "--show-priv-flags"}
	fixtures(t, 60, func(rng *rand.Rand) (diff string) {
		card := randomCard(rng)
		for _, q := range questions {
			classic, ours := cardAnswer(t, tool, card, append(strings.Fields(q), "lo")...)
			if d := cmp.Diff(classic, ours); d != "" {
				diff += q + ": " + d
			}
		}
		return diff
	})
}

// randomStructures answers every question over ioctl(2), as kernels before 5.6 do.
func randomStructures(rng *rand.Rand) *lab.Card {
	words := func(cmd uint32, size, n int) []byte {
		var list []uint32
		for range n {
			list = append(list, number32(rng)|1) // zero is a queue that the driver does not have
		}
		return structure(cmd, size, list...)
	}
	mask := func(bits int) uint32 { return rng.Uint32() & rng.Uint32() & (1<<bits - 1) }
	settings := structure(0x4c, 72, []uint32{10, 100, 1000, 40000, 0xffffffff}[rng.IntN(5)])
	copy(settings[8:], []byte{byte(rng.IntN(2)), byte(rng.IntN(6)), byte(rng.IntN(32)), byte(rng.IntN(2)), 0, byte(rng.IntN(3)), byte(rng.IntN(4)), 0xfe, byte(rng.IntN(2))})
	for i := range 3 {
		binary.NativeEndian.PutUint32(settings[48+8*i:], rng.Uint32()&rng.Uint32())
		binary.NativeEndian.PutUint32(settings[52+8*i:], rng.Uint32()&rng.Uint32()&(1<<20-1))
	}
	// The kernel always stamps by itself; no partner that is told has no modes at all.
	settings[48+16] |= 1
	return &lab.Card{NoFamily: true, IOCtls: map[uint32][]byte{
		0x4c: settings, 0x0a: structure(0x0a, 8, uint32(rng.IntN(2))), 0x07: structure(0x07, 8, mask(15)), 0x05: structure(0x05, 20, mask(8), mask(8), number32(rng), mask(16)),
		0x10: words(0x10, 36, 8), 0x3c: words(0x3c, 36, 8), 0x0e: words(0x0e, 92, 22), 0x12: structure(0x12, 16, 0, uint32(rng.IntN(2)), uint32(rng.IntN(2))),
		0x41: structure(0x41, 44, 0x10|mask(7), []uint32{0, 3, 0xffffffff}[rng.IntN(3)], mask(2), 0, 0, 0, mask(15)),
		0x44: structure(0x44, 40, 1|mask(6), mask(6), mask(6), uint32(rng.IntN(2)), uint32(rng.IntN(2)), uint32(rng.IntN(2)), number32(rng)>>1),
		0x50: structure(0x50, 16, 1<<(2+rng.IntN(4)), mask(6)&^1|2),
	}}
}

// fields are what a text says, without its layout: over ioctl(2) ethtool has another one
// than over netlink, which is the one of this program, and less is told.
func fields(text string) string {
	text = otherWords.ReplaceAllString(text, "")
	text = strings.NewReplacer("EEE Settings", "EEE settings", "frame-", "frames-", "BASER", "BaseR").Replace(text)
	moved := negotiation.FindString(text)
	var all []string
	for line := range strings.Lines(negotiation.ReplaceAllString(text, "") + moved) {
		name, values, _ := strings.Cut(line, ":")
		list := strings.Fields(values)
		slices.Sort(list)
		all = append(append(append(all, strings.Fields(name)...), ":"), list...)
	}
	return strings.Join(slices.DeleteFunc(all, func(w string) bool { return w == ":" }), " ")
}

var (
	otherWords  = regexp.MustCompile(`\((SOF|HWTSTAMP)_\w+\)|(RX Buf Len|CQE Size|TX Push|TCP data split):\s+n/a|CQE mode RX: n/a  TX: n/a`)
	negotiation = regexp.MustCompile(`\tAuto-negotiation: (on|off)\n`)
)

// The same over ioctl(2), field for field.
func TestSectionsIoctl(t *testing.T) {
	tool := lab.NewCardTool(t, "ethtool")
	questions := []string{"", "-g", "-l", "-c", "-a", "-T", "--show-eee", "--show-fec"}
	fixtures(t, 60, func(rng *rand.Rand) (diff string) {
		card := randomStructures(rng)
		for _, q := range questions {
			classic, ours := cardAnswer(t, tool, card, append(strings.Fields(q), "lo")...)
			classic[0], ours[0] = fields(classic[0]), fields(ours[0])
			if d := cmp.Diff(classic, ours); d != "" {
				diff += q + ": " + d
			}
		}
		return diff
	})
}

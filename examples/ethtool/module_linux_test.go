package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
)

// memory is that of a module, by halves of pages.
type memory map[lab.CardPage][]byte

func page(number uint8) lab.CardPage { return lab.CardPage{Address: 0x50, Page: number, Half: 128} }

var (
	lowerHalf   = lab.CardPage{Address: 0x50}
	upperHalf   = page(0)
	diagnostics = lab.CardPage{Address: 0x51}
)

// Kinds of a memory over ioctl(2), ETH_MODULE_SFF_*.
const (
	kind8079 = 1
	kind8472 = 2
	kind8636 = 3
	kind8436 = 4
)

// card plugs the module into a card, over netlink page by page and over ioctl(2) as a run
// of size bytes.
func (m memory) card(noFamily bool, kind uint32, size int) *lab.Card {
	const moduleInfo = 0x42
	card := &lab.Card{NoFamily: noFamily, Pages: m, IOCtls: map[uint32][]byte{moduleInfo: structure(moduleInfo, 44, kind, uint32(size))}}
	order := []lab.CardPage{lowerHalf, upperHalf, page(1), page(2), page(3)}
	if kind <= kind8472 {
		order = []lab.CardPage{lowerHalf, upperHalf, diagnostics, {Address: 0x51, Half: 128}}
	}
	for _, p := range order {
		data := m[p]
		if data == nil {
			data = make([]byte, 128)
		}
		card.Memory = append(card.Memory, data...)
	}
	card.Memory = card.Memory[:size]
	return card
}

// vendorText fills places with text as vendors write it, and worse.
func vendorText(rng *rand.Rand, b []byte, places ...[2]int) {
	for _, p := range places {
		text := b[p[0]:p[1]]
		copy(text, strings.Repeat(" ", len(text)))
		n := rng.IntN(len(text) + 1)
		for i := range n {
			text[i] = byte(' ' + rng.IntN(95))
		}
		if hostile := rng.IntN(8) == 0; hostile {
			copy(text, []string{"\x1b[2J", "\x00\x00", "\xff\xfe\x7f", "\x9b31m", "\r\n\t"}[rng.IntN(5)])
		}
	}
}

func randomSFP(rng *rand.Rand) memory {
	a, d := randomBytes(rng, 128), randomBytes(rng, 128)
	a[0], a[1] = []byte{3, 3, 3, 2}[rng.IntN(4)], 4
	if rng.IntN(20) == 0 {
		a[1] = byte(rng.Uint32())
	}
	vendorText(rng, a, [2]int{20, 36}, [2]int{40, 56}, [2]int{56, 60}, [2]int{68, 84}, [2]int{84, 92})
	a[92] &^= 0x04 // the other address can be read as it is
	if rng.IntN(8) > 0 {
		a[92] |= 0x40
	}
	if rng.IntN(8) == 0 {
		a[12] = 255
	}
	// Constants of external calibration that lead to numbers of 16 bits; ethtool knows no
	// more than the first power of the received one (see TestModuleErrors).
	for at := 56; at < 68; at++ {
		d[at] = 0
	}
	binary.BigEndian.PutUint32(d[68:], math.Float32bits(rng.Float32()))
	binary.BigEndian.PutUint32(d[72:], math.Float32bits(0))
	for _, at := range []int{76, 80, 84, 88} {
		binary.BigEndian.PutUint16(d[at:], uint16(rng.IntN(255)))
		binary.BigEndian.PutUint16(d[at+2:], uint16(rng.IntN(200)))
	}
	return memory{lowerHalf: a, upperHalf: randomBytes(rng, 128), diagnostics: d, {Address: 0x51, Half: 128}: randomBytes(rng, 128)}
}

func randomQSFP(rng *rand.Rand) memory {
	low, up := randomBytes(rng, 128), randomBytes(rng, 128)
	low[0] = []byte{0x0c, 0x0d, 0x11}[rng.IntN(3)]
	vendorText(rng, up, [2]int{20, 36}, [2]int{40, 56}, [2]int{56, 58}, [2]int{68, 84}, [2]int{84, 92})
	switch rng.IntN(6) {
	case 0:
		low[22], low[23] = 0, 0
	case 1:
		low[22], low[23] = 0xff, 0xff
	case 2:
		low[1] = byte(rng.IntN(12))
	}
	if up[12] == 255 { // see TestModuleErrors
		up[12] = 254
	}
	return memory{lowerHalf: low, upperHalf: up, page(3): randomBytes(rng, 128)}
}

func randomCMIS(rng *rand.Rand) memory {
	low, up, one := randomBytes(rng, 128), randomBytes(rng, 128), randomBytes(rng, 128)
	low[0] = []byte{0x18, 0x19, 0x1b}[rng.IntN(3)]
	up[0] = low[0]
	vendorText(rng, up, [2]int{1, 17}, [2]int{20, 36}, [2]int{36, 38}, [2]int{38, 54}, [2]int{54, 62}, [2]int{62, 72})
	if rng.IntN(4) > 0 {
		low[2] &^= 0x80 // more than flat memory
	}
	if rng.IntN(4) == 0 {
		low[3], low[41] = 0x0a, byte(rng.IntN(6)) // fault
	}
	// Where ethtool is wrong, see TestModuleErrors.
	up[84] &= 0x0f
	one[14] = one[14]&^3 | byte(rng.IntN(3))
	one[31] |= 0x03
	one[32] &^= 0x18
	m := memory{lowerHalf: low, upperHalf: up, page(1): one, page(2): randomBytes(rng, 128)}
	for bank := range uint8(4) {
		for _, number := range []uint8{0x10, 0x11} {
			m[lab.CardPage{Address: 0x50, Bank: bank, Page: number, Half: 128}] = randomBytes(rng, 128)
		}
	}
	return m
}

// What ethtool makes of a module's memory is what this program makes of it.
func TestModuleSFP(t *testing.T) {
	tool := lab.NewCardTool(t, "ethtool")
	fixtures(t, 150, func(rng *rand.Rand) string {
		m := randomSFP(rng)
		var diff strings.Builder
		cards := []*lab.Card{m.card(true, kind8472, 512), m.card(false, kind8472, 512)}
		if m[lowerHalf][0] == 2 { // soldered: of these ethtool shows pages in hexadecimal
			cards = cards[:1]
		}
		for _, card := range cards {
			classic, ours := cardAnswer(t, tool, card, "-m", "lo")
			diff.WriteString(cmp.Diff(classic, ours))
		}
		return diff.String()
	})
}

func TestModuleQSFP(t *testing.T) {
	tool := lab.NewCardTool(t, "ethtool")
	fixtures(t, 150, func(rng *rand.Rand) string {
		m := randomQSFP(rng)
		var diff strings.Builder
		for _, card := range []*lab.Card{m.card(false, kind8636, 640), m.card(true, kind8636, 640), m.card(true, kind8436, 640)} {
			classic, ours := cardAnswer(t, tool, card, "-m", "lo")
			diff.WriteString(cmp.Diff(classic, ours))
		}
		return diff.String()
	})
}

// Over ioctl(2) ethtool reads CMIS modules of flat memory only: it takes pages that it
// did not ask for for granted.
func TestModuleCMIS(t *testing.T) {
	tool := lab.NewCardTool(t, "ethtool")
	fixtures(t, 300, func(rng *rand.Rand) string {
		m := randomCMIS(rng)
		classic, ours := cardAnswer(t, tool, m.card(false, kind8636, 640), "-m", "lo")
		classic[0] = m.laneFlags(t, classic[0])
		diff := cmp.Diff(classic, ours)
		if m[lowerHalf][2]&0x80 != 0 {
			classic, ours = cardAnswer(t, tool, m.card(true, kind8636, 256), "-m", "lo")
			diff += cmp.Diff(classic, ours)
		}
		return diff
	})
}

// laneFlags puts the flags of lanes right in what ethtool 6.1 says of a CMIS module. Of
// lane n, counted from 0, it shows whether a byte has a bit in common with the number n;
// the standard has bit n.
func (m memory) laneFlags(t *testing.T, text string) string {
	t.Helper()
	kinds := []string{"high alarm", "low alarm", "high warning", "low warning"}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		name, state, ok := strings.Cut(line, ": ")
		if !ok || state != "On" && state != "Off" || !strings.Contains(name, "(Chan") {
			continue
		}
		var lane, at int
		if _, err := fmt.Sscanf(name[strings.Index(name, "(Chan"):], "(Chan %d)", &lane); err != nil {
			fmt.Sscanf(name[strings.Index(name, "(Chan"):], "(Channel %d)", &lane)
		}
		lane--
		for k, kind := range kinds {
			if strings.Contains(name, kind) {
				at = k
			}
		}
		for what, from := range map[string]int{"tx power": 11, "bias": 15, "rx power": 21} {
			if strings.Contains(name, what) {
				at += from
			}
		}
		v := m[lab.CardPage{Address: 0x50, Bank: uint8(lane / 8), Page: 0x11, Half: 128}][at]
		if wrong := int(v)&lane != 0; wrong != (state == "On") {
			t.Logf("ethtool reads %q differently by now: %#x", name, v)
		}
		state = "Off"
		if v&(1<<(lane%8)) != 0 {
			state = "On"
		}
		lines[i] = name + ": " + state
	}
	return strings.Join(lines, "\n")
}

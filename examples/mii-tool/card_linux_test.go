package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/nic"
)

// phy is a card whose PHY has these registers, one set for each look.
func phy(sets ...[]uint16) *lab.Card {
	c := &lab.Card{NoFamily: true}
	for _, regs := range sets {
		var all [33]uint16
		all[0] = 3
		copy(all[1:], regs)
		c.Registers = append(c.Registers, all)
	}
	return c
}

// ask asks a card with this program.
func ask(ctx context.Context, card *lab.Card, args ...string) (stdout, stderr string, code int) {
	var out, said bytes.Buffer
	code = run(nic.With(ctx, card), args, nil, &out, &said)
	return out.String(), said.String(), code
}

// randomRegisters are those of a PHY. Where mii-tool is wrong it is not asked: it shows no
// power down and no jabber, and of 1000BASE-T it has full duplex only beside that of
// 10BASE-T, half duplex as the better one, no forced speed, and flow control when it was
// not negotiated; it takes 100BASE-T4 for better than 100BASE-TX in full duplex. Where nothing is in common it may say "no autonegotiation," and no more.
func randomRegisters(rng *rand.Rand) []uint16 {
	regs := make([]uint16, 16)
	for i := range regs {
		regs[i] = uint16(rng.Uint32())
		if rng.IntN(2) == 0 {
			regs[i] &= uint16(rng.Uint32())
		}
	}
	regs[0] &^= 0x0840
	regs[1] = regs[1]&^0x0102 | 0x0008
	regs[4] |= 0x0020 // something in common
	regs[5] |= 0x0020
	if regs[4]&regs[5]&0x0300 == 0x0300 {
		regs[4] &^= 0x0200
	}
	regs[9], regs[10], regs[15] = 0, 0, 0
	if rng.IntN(3) == 0 {
		regs[0] |= 0x1000
		regs[1] |= 0x0120
		regs[1] |= 0x1000
		regs[4] |= 0x0040
		regs[5] |= 0x4040
		regs[9], regs[10], regs[15] = 0x0200, 0x0800, 0x2000
	}
	return regs
}

var gigabitFlow = regexp.MustCompile(`^(lo: .*1000baseT-FD) flow-control`)

// What mii-tool makes of the registers of a PHY is what this program makes of them.
func TestRandomRegisters(t *testing.T) {
	tool := lab.NewCardTool(t, "mii-tool")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for n, failed := 0, 0; n < 300 && failed < 3; n++ {
		regs := randomRegisters(rng)
		out, said, code := tool.Run(phy(regs), "-v", "lo")
		mine, mySaid, myCode := ask(t.Context(), phy(regs), "-v", "lo")
		if regs[9] != 0 {
			out, mine = gigabitFlow.ReplaceAllString(out, "$1"), gigabitFlow.ReplaceAllString(mine, "$1")
		}
		if diff := cmp.Diff([]any{out, said, code}, []any{mine, mySaid, myCode}); diff != "" {
			failed++
			t.Errorf("%04x (-mii-tool +ours):\n%s", regs, diff)
		}
	}
}

var (
	negotiated = []uint16{0x3100, 0x782d, 0x02a8, 0x0154, 0x05e1, 0x45e1}
	forced     = []uint16{0x2100, 0x780d, 0x02a8, 0x0154, 0x05e1, 0x0081}
	noLink     = []uint16{0x0000, 0x7809}
)

// The options that mii-tool has.
func TestOptions(t *testing.T) {
	tool := lab.NewCardTool(t, "mii-tool")
	for _, line := range []string{"lo", "-v lo", "lo lo", "-v lo lo", "lo nosuch0", "nosuch0 lo", "nosuch0", "-p 5 lo", "-v -p 5 lo"} {
		args := strings.Fields(line)
		out, said, code := tool.Run(phy(negotiated), args...)
		mine, mySaid, myCode := ask(t.Context(), phy(negotiated, negotiated), args...)
		out = strings.TrimPrefix(out, "using the specified MII index 5.\n") // it is in the command line
		if diff := cmp.Diff([]any{out, said, code}, []any{mine, mySaid, myCode}); diff != "" {
			t.Errorf("%s (-mii-tool +ours):\n%s", line, diff)
		}
	}
	// Of a transceiver that is not there both say so; this program ends with 1, as for
	// everything that it has nothing to show for.
	for _, regs := range [][]uint16{{0xffff, 0xffff}, {0x1000, 0}} {
		out, said, _ := tool.Run(phy(regs), "-v", "lo")
		mine, mySaid, code := ask(t.Context(), phy(regs), "-v", "lo")
		if diff := cmp.Diff([]string{out, said}, []string{mine, mySaid}); diff != "" || code != 1 {
			t.Errorf("%04x: exit code %d (-mii-tool +ours):\n%s", regs, code, diff)
		}
	}
	// The registers stand behind the same words; mii-tool reads 16 more, which are the
	// maker's, and says how.
	out, _, _ := tool.Run(phy(negotiated), "-vv", "lo")
	mine, _, _ := ask(t.Context(), phy(negotiated), "-vv", "lo")
	zeros := "    0000 0000 0000 0000 0000 0000 0000 0000\n"
	out = strings.Replace(strings.TrimPrefix(out, "Using SIOCGMIIPHY=0x8947\n"), zeros+zeros, "", 1)
	if diff := cmp.Diff(out, mine); diff != "" {
		t.Errorf("-vv (-mii-tool +ours):\n%s", diff)
	}
}

// Watching, a line is printed whenever something has changed, with or without -v.
func TestWatch(t *testing.T) {
	tool := lab.NewCardTool(t, "mii-tool")
	clock := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d `)
	sets := [][]uint16{negotiated, negotiated, forced, noLink, noLink, negotiated}
	for _, line := range []string{"-w lo", "-w -v lo"} {
		args := strings.Fields(line)
		out, said, _ := tool.Run(phy(sets...), args...)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(sets))*time.Second-time.Second/2)
			defer cancel()
			mine, mySaid, code := ask(ctx, phy(sets...), args...)
			if diff := cmp.Diff(clock.ReplaceAllString(out, "TIME "), clock.ReplaceAllString(mine, "TIME ")); diff != "" || code != 0 || mySaid != said {
				t.Errorf("%s: exit code %d, said %q (-mii-tool +ours):\n%s", line, code, mySaid, diff)
			}
		})
	}
	// What fails ends it, as it ends mii-tool.
	_, said, code := tool.Run(phy(sets...), "-w", "nosuch0")
	_, mySaid, myCode := ask(t.Context(), phy(sets...), "-w", "nosuch0")
	if said != mySaid || code != myCode {
		t.Errorf("exit code %d, said %q; mii-tool %d, %q", myCode, mySaid, code, said)
	}
	if _, said, code := ask(t.Context(), phy(), "-l", "lo"); code != 2 || !strings.Contains(said, "logger") {
		t.Errorf("-l: exit code %d, said %q", code, said)
	}
}

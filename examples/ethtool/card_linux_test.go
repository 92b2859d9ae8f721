package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/netsonde/netsonde/internal/lab"
	"github.com/netsonde/netsonde/internal/nic"
)

// What no device here answers: the installed ethtool is made to ask a card that is
// not there, and this program asks the same one.

// cardAnswer asks a card with ethtool and with this program: what they print, say,
// and end with.
func cardAnswer(t *testing.T, tool *lab.CardTool, card *lab.Card, words ...string) (classic, ours [3]string) {
	t.Helper()
	stdout, stderr, code := tool.Run(card, words...)
	var out, said bytes.Buffer
	mine := run(nic.With(t.Context(), card), words, nil, &out, &said)
	return [3]string{stdout, stderr, strconv.Itoa(code)}, [3]string{out.String(), said.String(), strconv.Itoa(mine)}
}

// randomly returns random numbers, whose seed the log has.
func randomly(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// fixtures asks about so many cards, and stops after a few differences.
func fixtures(t *testing.T, n int, compare func(rng *rand.Rand) string) {
	t.Helper()
	rng := randomly(t)
	for failed := 0; n > 0 && failed < 3; n-- {
		if diff := compare(rng); diff != "" {
			failed++
			t.Errorf("(-ethtool +ours):\n%s", diff)
		}
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		if rng.IntN(4) > 0 {
			b[i] = byte(rng.Uint32())
		}
	}
	return b
}

// structure is one of SIOCETHTOOL: a command and words.
func structure(cmd uint32, size int, words ...uint32) []byte {
	b := make([]byte, size)
	for i, w := range append([]uint32{cmd}, words...) {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
	return b
}

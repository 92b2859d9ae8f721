package lab

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/netsonde/netsonde/internal/nic"
	"github.com/netsonde/netsonde/internal/nl"
)

// Card is a network card that is not there, for what no device here answers: MII
// registers, a module's memory, flow control. It answers this library (see
// nic.With) and, over a shared object that is loaded into them, ethtool(8) and
// mii-tool(8) with the same bytes; its interface is always lo.
type Card struct {
	NoFamily bool              // the kernel has no ethtool family: ioctl(2) is asked
	Messages map[uint8][]byte  // attributes of the answers of ETHTOOL_MSG_*_GET
	IOCtls   map[uint32][]byte // structures of ETHTOOL_G* as the kernel leaves them
	Sets     map[uint32][]string
	Pages    map[CardPage][]byte // a module over netlink: 128 bytes each
	Memory   []byte              // a module over ioctl(2), as one run
	// Registers are what MII has: the address of the PHY, then 32 registers. There are
	// several where time passes: one more with every look.
	Registers [][33]uint16
	// Refused are errors by message, or by command of ioctl(2) shifted left by 8.
	Refused map[uint32]syscall.Errno

	looks int
}

// CardPage is a half of a page of a module's memory.
type CardPage struct{ Address, Bank, Page, Half uint8 }

const (
	cardStrings    = 1 // ETHTOOL_MSG_STRSET_GET
	cardEEPROM     = 31
	cardGetStrings = 0x1b
	cardGetSets    = 0x37
	cardGetEEPROM  = 0x43
	cardGetLink    = 0x4c
	cardName       = 32 // ETH_GSTRING_LEN
)

var _ nic.Driver = (*Card)(nil)

// Family implements [nic.Driver].
func (c *Card) Family(context.Context) (map[uint8]bool, error) {
	if c.NoFamily {
		return nil, nil
	}
	ops := map[uint8]bool{}
	for op := range uint8(38) {
		ops[op] = true
	}
	return ops, nil
}

// Generic implements [nic.Driver].
func (c *Card) Generic(ctx context.Context, message uint8, body []byte, fn func([]byte) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errno := c.Refused[uint32(message)]; errno != 0 {
		return errno
	}
	switch message {
	case cardEEPROM:
		return c.page(body, fn)
	case cardStrings:
		var id uint32
		walk(body, 2, func(b []byte) { walk(b, 1, func(b []byte) { walk(b, 1, func(b []byte) { nl.Set32(&id, b) }) }) })
		if names, ok := c.Sets[id]; ok {
			return fn(stringSet(id, names))
		}
	default:
		if b, ok := c.Messages[message]; ok {
			return fn(b)
		}
	}
	return syscall.EOPNOTSUPP
}

func walk(b []byte, typ uint16, fn func([]byte)) {
	for a := nl.NewAttrs(b); a.Next(); {
		if a.Type == typ {
			fn(a.Data)
		}
	}
}

func stringSet(id uint32, names []string) []byte {
	return nl.AppendNested(nil, 2, func(b []byte) []byte {
		return nl.AppendNested(b, 1, func(b []byte) []byte {
			b = nl.AppendU32(nl.AppendU32(b, 1, id), 2, uint32(len(names)))
			return nl.AppendNested(b, 3, func(b []byte) []byte {
				for i, name := range names {
					b = nl.AppendNested(b, 1, func(b []byte) []byte { return nl.AppendText(nl.AppendU32(b, 1, uint32(i)), 2, name) })
				}
				return b
			})
		})
	})
}

func (c *Card) page(body []byte, fn func([]byte) error) error {
	var offset, length uint32
	var p CardPage
	walk(body, 2, func(b []byte) { nl.Set32(&offset, b) })
	walk(body, 3, func(b []byte) { nl.Set32(&length, b) })
	walk(body, 4, func(b []byte) { nl.Set8(&p.Page, b) })
	walk(body, 5, func(b []byte) { nl.Set8(&p.Bank, b) })
	walk(body, 6, func(b []byte) { nl.Set8(&p.Address, b) })
	if offset >= 128 {
		p.Half = 128
	} else {
		p.Page, p.Bank = 0, 0
	}
	data, ok := c.Pages[p]
	offset -= uint32(p.Half)
	switch {
	case !ok:
		return syscall.EOPNOTSUPP
	case offset+length > 128:
		return syscall.EINVAL
	}
	return fn(nl.Append(nil, 7, data[offset:offset+length]))
}

// IOCtl implements [nic.Driver].
func (c *Card) IOCtl(data []byte) error {
	e := binary.NativeEndian
	cmd := e.Uint32(data)
	if errno := c.Refused[cmd<<8]; errno != 0 {
		return errno
	}
	switch cmd {
	case cardGetStrings:
		names, ok := c.Sets[e.Uint32(data[4:])]
		if !ok {
			return syscall.EOPNOTSUPP
		}
		e.PutUint32(data[8:], uint32(len(names)))
		copy(data[12:], padded(names))
		return nil
	case cardGetSets:
		mask, has, at := e.Uint64(data[8:]), uint64(0), 16
		for i := range uint32(64) {
			if names, ok := c.Sets[i]; ok && mask>>i&1 != 0 {
				has |= 1 << i
				e.PutUint32(data[at:], uint32(len(names)))
				at += 4
			}
		}
		e.PutUint64(data[8:], has)
		return nil
	case cardGetEEPROM:
		offset, length := uint64(e.Uint32(data[8:])), uint64(e.Uint32(data[12:]))
		switch {
		case c.Memory == nil:
			return syscall.EOPNOTSUPP
		case offset+length > uint64(len(c.Memory)):
			return syscall.EINVAL
		}
		copy(data[16:], c.Memory[offset:offset+length])
		return nil
	}
	answer, ok := c.IOCtls[cmd]
	if !ok {
		return syscall.EOPNOTSUPP
	}
	if words := answer[min(15, len(answer)-1)]; cmd == cardGetLink && data[15] != -words {
		clear(data[4:48])
		data[15] = words
		return nil
	}
	copy(data, answer)
	if cmd == cardGetLink {
		data[15] = -data[15]
	}
	return nil
}

// MII implements [nic.Driver].
func (c *Card) MII(register bool, data *nic.MIIData) error {
	if !register {
		c.looks++
	}
	if c.looks > len(c.Registers) {
		return syscall.EOPNOTSUPP
	}
	regs := c.Registers[c.looks-1]
	switch {
	case !register:
		data.PHY = regs[0]
	case data.Register < 32:
		data.Out = regs[1+data.Register]
	default:
		data.Out = 0xffff
	}
	return nil
}

// Close implements [nic.Driver].
func (c *Card) Close() error { return nil }

func padded(names []string) []byte {
	b := make([]byte, cardName*len(names))
	for i, name := range names {
		copy(b[cardName*i:][:cardName], name)
	}
	return b
}

//go:embed testdata/card.c
var cardSource []byte

// cardObject is the shared object, made once for a test binary.
var cardObject = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "card")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source, object := filepath.Join(dir, "card.c"), filepath.Join(dir, "card.so")
	if err := os.WriteFile(source, cardSource, 0o644); err != nil {
		return nil, err
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", object, source, "-ldl").CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: "gcc: " + string(out), Err: err}
	}
	return os.ReadFile(object)
})

// CardTool runs a program that asks a card. New skips the test where the program or
// gcc is missing.
type CardTool struct {
	t    testing.TB
	name string
	dir  string
}

// NewCardTool makes name, "ethtool" or "mii-tool", ask a card.
func NewCardTool(t testing.TB, name string) *CardTool {
	t.Helper()
	for _, tool := range []string{"gcc", name} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	object, err := cardObject()
	if err != nil {
		t.Fatal(err)
	}
	c := &CardTool{t, name, t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.dir, "card.so"), object, 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// Run asks the card: what the program prints, says, and ends with.
func (c *CardTool) Run(card *Card, args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	file := filepath.Join(c.dir, "card")
	if err := os.WriteFile(file, card.records(), 0o644); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(c.name, args...)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+filepath.Join(c.dir, "card.so"), "CARD="+file, "LC_ALL=C", "TZ=UTC")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// Kinds of records, as in card.c.
const (
	recordMessage = iota + 1
	recordStrings
	recordIOCtl
	recordSet
	recordPage
	recordRegisters
	recordErrno
	recordFamily
	recordMemory
)

// records is the file that card.c reads.
func (c *Card) records() []byte {
	e := binary.NativeEndian
	var b []byte
	add := func(kind, key uint32, data []byte) {
		b = e.AppendUint32(e.AppendUint32(e.AppendUint32(b, kind), key), uint32(len(data)))
		b = append(b, data...)
		b = append(b, make([]byte, -len(data)&3)...)
	}
	for msg, data := range c.Messages {
		add(recordMessage, uint32(msg), data)
	}
	for id, names := range c.Sets {
		add(recordStrings, id, stringSet(id, names))
		add(recordSet, id, padded(names))
	}
	for cmd, data := range c.IOCtls {
		add(recordIOCtl, cmd, data)
	}
	for p, data := range c.Pages {
		add(recordPage, uint32(p.Address)<<24|uint32(p.Bank)<<16|uint32(p.Page)<<8|uint32(p.Half), data)
	}
	for i, regs := range c.Registers {
		var data []byte
		for _, r := range regs {
			data = e.AppendUint16(data, r)
		}
		add(recordRegisters, uint32(i), data)
	}
	for key, errno := range c.Refused {
		add(recordErrno, key, e.AppendUint32(nil, uint32(errno)))
	}
	if !c.NoFamily {
		add(recordFamily, 0, family())
	}
	if c.Memory != nil {
		add(recordMemory, 0, c.Memory)
	}
	return slices.Clip(b)
}

// family is the answer of the generic netlink controller.
func family() []byte {
	b := nl.AppendText(nil, 2, "ethtool")
	b = nl.Append(b, 1, binary.NativeEndian.AppendUint16(nil, 0x21))
	b = nl.AppendU32(nl.AppendU32(nl.AppendU32(b, 3, 1), 4, 0), 5, 0)
	b = nl.AppendNested(b, 6, func(b []byte) []byte {
		for op := range uint32(37) {
			b = nl.AppendNested(b, uint16(op+1), func(b []byte) []byte {
				return nl.AppendU32(nl.AppendU32(b, 1, op+1), 2, 0x0e) // do, dump, has a policy
			})
		}
		return b
	})
	return nl.AppendNested(b, 7, func(b []byte) []byte {
		return nl.AppendNested(b, 1, func(b []byte) []byte { return nl.AppendU32(nl.AppendText(b, 1, "monitor"), 2, 5) })
	})
}

package link

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/netsonde/netsonde/internal/nic"
	"github.com/netsonde/netsonde/internal/nl"
)

// card is a kernel with hardware that is not here: messages built from
// linux/ethtool_netlink.h and structures from linux/ethtool.h.
type card struct {
	answers map[uint8][]byte              // by message
	refused map[uint8]error               //
	ioctls  map[uint32]func([]byte) error // by command
	phy     uint16
	regs    map[uint16]uint16     // MII; nil: no such ioctl
	eeprom  map[eepromPage][]byte // 128 bytes a page half
	asked   []uint8
}

// eepromPage is a half of an I2C device's page: 0 the lower, 128 the upper.
type eepromPage struct {
	address, page, bank uint8
	half                uint8
}

func (c *card) Generic(_ context.Context, cmd uint8, body []byte, fn func([]byte) error) error {
	c.asked = append(c.asked, cmd)
	if err := c.refused[cmd]; err != nil {
		return err
	}
	switch cmd {
	case msgModuleEEPROMGet:
		return c.readEEPROM(body, fn)
	case msgStringSetGet:
		return fn(stringsOf(body))
	}
	if b, ok := c.answers[cmd]; ok {
		return fn(b)
	}
	return syscall.EOPNOTSUPP
}

// stringsOf answers with the set that is asked for, if it is in kernelSets.
func stringsOf(body []byte) []byte {
	for id, names := range kernelSets {
		want := nl.AppendNested(nil, 2, func(b []byte) []byte {
			return nl.AppendNested(b, 1, func(b []byte) []byte { return nl.AppendU32(b, 1, id) })
		})
		if bytes.HasSuffix(body, want) {
			return stringSet(id, names...)
		}
	}
	return nil
}

// kernelSets are those that only a kernel knows; of Linux 6.18.
var kernelSets = map[uint32][]string{
	setPrivFlags: {"s0ix-enabled", "legacy-rx"},
	setFeatures:  {"tx-scatter-gather", "tx-checksum-ipv4", "", "rx-gro"},
	setHash:      {"toeplitz", "xor", "crc32"},
	setStandard:  {"eth-phy", "eth-mac", "eth-ctrl", "rmon", "phydev"},
	17:           {"SymbolErrorDuringCarrier"},
	18: {"FramesTransmittedOK", "SingleCollisionFrames", "MultipleCollisionFrames", "FramesReceivedOK", "FrameCheckSequenceErrors", "AlignmentErrors",
		"OctetsTransmittedOK", "FramesWithDeferredXmissions", "LateCollisions"},
	20: {"etherStatsUndersizePkts", "etherStatsOversizePkts"},
}

func (c *card) readEEPROM(body []byte, fn func([]byte) error) error {
	var offset, length uint32
	var p eepromPage
	for a := nl.NewAttrs(body); a.Next(); {
		switch a.Type {
		case 2:
			nl.Set32(&offset, a.Data)
		case 3:
			nl.Set32(&length, a.Data)
		case 4:
			nl.Set8(&p.page, a.Data)
		case 5:
			nl.Set8(&p.bank, a.Data)
		case 6:
			nl.Set8(&p.address, a.Data)
		}
	}
	if offset >= 128 {
		p.half = 128
		offset -= 128
	} else {
		p.page = 0
	}
	data, ok := c.eeprom[p]
	if !ok || offset+length > 128 {
		return syscall.EOPNOTSUPP
	}
	return fn(nl.Append(nil, 7, data[offset:offset+length]))
}

func (c *card) IOCtl(data []byte) error {
	if f := c.ioctls[host.Uint32(data)]; f != nil {
		return f(data)
	}
	return syscall.EOPNOTSUPP
}

func (c *card) MII(register bool, data *nic.MIIData) error {
	switch {
	case c.regs == nil:
		return syscall.EOPNOTSUPP
	case !register:
		data.PHY = c.phy
	default:
		data.Out = c.regs[data.Register]
	}
	return nil
}

func (c *card) Close() error { return nil }

func (c *card) Family(context.Context) (map[uint8]bool, error) { return nil, nil }

// device is the interface of a card; without ops there is no ethtool family.
func (c *card) device(netlink bool) *Device {
	d := &Device{Index: 2, Name: "eth0", kernel: c}
	if netlink {
		d.ops = map[uint8]bool{}
		for op := range uint8(40) {
			d.ops[op] = true
		}
	}
	return d
}

// What follows builds messages.

func compact(b []byte, typ uint16, size int, value, mask []int) []byte {
	words := func(set []int) []byte {
		w := make([]byte, (size+31)/32*4)
		for _, i := range set {
			at := i / 32 * 4
			binary.NativeEndian.PutUint32(w[at:], binary.NativeEndian.Uint32(w[at:])|1<<(i%32))
		}
		return w
	}
	return nl.AppendNested(b, typ, func(b []byte) []byte {
		if mask == nil {
			b = nl.Append(b, 1, nil)
		}
		b = nl.AppendU32(b, 2, uint32(size))
		b = nl.Append(b, 4, words(value))
		if mask != nil {
			b = nl.Append(b, 5, words(mask))
		}
		return b
	})
}

// bitForm is one of the two forms of a bit set; a size stands for the set whose
// names it has.
type bitForm func(b []byte, typ uint16, size int, value, mask []int) []byte

var namesBySize = map[int][]string{
	linkModeBits: linkModeWords, 8: fixedNames(setWOL), 15: fixedNames(setMessages), 19: fixedNames(setTimestamp),
	4: fixedNames(setTxTypes), 16: fixedNames(setRxFilters), 2: {"s0ix-enabled", "legacy-rx"},
}

// listed is the form that ethtool asks for.
func listed(b []byte, typ uint16, size int, value, mask []int) []byte {
	bits, names := mask, namesBySize[size]
	if mask == nil {
		bits = value
	}
	slices.Sort(bits)
	return nl.AppendNested(b, typ, func(b []byte) []byte {
		if mask == nil {
			b = nl.Append(b, 1, nil)
		}
		b = nl.AppendU32(b, 2, uint32(size))
		return nl.AppendNested(b, 3, func(b []byte) []byte {
			for _, i := range bits {
				b = nl.AppendNested(b, 1, func(b []byte) []byte {
					b = nl.AppendU32(b, 1, uint32(i))
					if i < len(names) {
						b = nl.AppendText(b, 2, names[i])
					}
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

func stringSet(set uint32, names ...string) []byte {
	return nl.AppendNested(nil, 2, func(b []byte) []byte {
		return nl.AppendNested(b, 1, func(b []byte) []byte {
			b = nl.AppendU32(b, 1, set)
			b = nl.AppendU32(b, 2, uint32(len(names)))
			return nl.AppendNested(b, 3, func(b []byte) []byte {
				for i, name := range names {
					b = nl.AppendNested(b, 1, func(b []byte) []byte {
						return nl.AppendText(nl.AppendU32(b, 1, uint32(i)), 2, name)
					})
				}
				return b
			})
		})
	})
}

func u32s(b []byte, from uint16, values ...uint32) []byte {
	for i, v := range values {
		b = nl.AppendU32(b, from+uint16(i), v)
	}
	return b
}

func u8s(b []byte, from uint16, values ...uint8) []byte {
	for i, v := range values {
		b = nl.AppendU8(b, from+uint16(i), v)
	}
	return b
}

const linkModeBits = 121

func ints(from, to int) (list []int) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

// cards are the hardware that is not here.
func cards(form bitForm) map[string]*card {
	copper := append(ints(0, 3), 5, 6, 7, 13) // 10baseT … 1000baseT/Full, Autoneg, TP, Pause
	gigabit := &card{answers: map[uint8][]byte{}, ioctls: driverIoctls("e1000e", 4)}
	set(gigabit, msgLinkModesGet, func(b []byte) []byte {
		b = nl.AppendU8(b, 2, 1)
		b = form(b, 3, linkModeBits, copper, append([]int{14}, copper...))
		b = form(b, 4, linkModeBits, []int{0, 1, 2, 3, 4, 5, 6, 13, 14}, nil)
		b = nl.AppendU8(nl.AppendU32(b, 5, 1000), 6, 1)
		return u8s(b, 7, 3, 2)
	})
	set(gigabit, msgLinkInfoGet, func(b []byte) []byte { return u8s(b, 2, 0, 1, 2, 3, 0) })
	set(gigabit, msgLinkStateGet, func(b []byte) []byte { return nl.AppendU8(b, 2, 1) })
	set(gigabit, msgWOLGet, func(b []byte) []byte {
		return nl.Append(form(b, 2, 8, []int{5}, []int{0, 1, 2, 3, 5, 6}), 3, []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55})
	})
	set(gigabit, msgDebugGet, func(b []byte) []byte { return form(b, 2, 15, []int{0, 1, 2}, ints(0, 14)) })
	set(gigabit, msgRingsGet, func(b []byte) []byte { return u32s(b, 2, 4096, 0, 0, 4096, 256, 0, 0, 256) })
	set(gigabit, msgChannelsGet, func(b []byte) []byte { return u32s(b, 2, 4, 4, 1, 8, 2, 2, 1, 4) })
	set(gigabit, msgCoalesceGet, func(b []byte) []byte { return u8s(u32s(b, 2, 3, 8), 11, 1, 0) })
	set(gigabit, msgPauseGet, func(b []byte) []byte {
		return nl.AppendNested(u8s(b, 2, 1, 1, 0), 5, func(b []byte) []byte { return nl.Append(nl.Append(b, 2, u64(17)), 3, u64(1234567890123)) })
	})
	set(gigabit, msgEEEGet, func(b []byte) []byte {
		b = form(b, 2, linkModeBits, []int{5}, []int{3, 5})
		b = form(b, 3, linkModeBits, []int{3, 5}, nil)
		return nl.AppendU32(u8s(b, 4, 1, 1, 1), 7, 17)
	})
	set(gigabit, msgTSInfoGet, func(b []byte) []byte {
		b = form(b, 2, 19, []int{0, 1, 2, 3, 4, 6}, nil)
		b = form(b, 3, 4, []int{0, 1}, nil)
		return nl.AppendU32(form(b, 4, 16, []int{0, 1, 12}, nil), 5, 0)
	})
	set(gigabit, msgPrivFlagsGet, func(b []byte) []byte { return form(b, 2, 2, []int{1}, []int{0, 1}) })
	set(gigabit, msgFeaturesGet, func(b []byte) []byte {
		b = compact(b, 2, 4, []int{0, 1}, nil)
		b = compact(b, 3, 4, []int{0, 3}, nil)
		return compact(compact(b, 4, 4, []int{1, 3}, nil), 5, 4, []int{3}, nil)
	})
	set(gigabit, msgStatsGet, func(b []byte) []byte {
		b = statGroup(b, 0, 17, 0)
		b = statGroup(b, 1, 18, 0, 4, 8)
		return statGroup(b, 3, 20, 1)
	})

	half := &card{answers: map[uint8][]byte{}, ioctls: driverIoctls("eepro100", 2)}
	set(half, msgLinkModesGet, func(b []byte) []byte {
		b = nl.AppendU8(b, 2, 0)
		b = form(b, 3, linkModeBits, []int{2, 7, 9}, []int{0, 1, 2, 3, 6, 7, 9})
		return nl.AppendU8(nl.AppendU32(b, 5, 100), 6, 0)
	})
	set(half, msgLinkInfoGet, func(b []byte) []byte { return u8s(b, 2, 2, 1, 1, 0, 1) })
	set(half, msgLinkStateGet, func(b []byte) []byte { return nl.AppendU8(b, 2, 1) })
	half.refused = map[uint8]error{msgWOLGet: syscall.EPERM}
	set(half, msgDebugGet, func(b []byte) []byte { return form(b, 2, 15, nil, ints(0, 14)) })

	fibre := &card{answers: map[uint8][]byte{}, ioctls: driverIoctls("mlx5_core", 1)}
	set(fibre, msgLinkModesGet, func(b []byte) []byte {
		b = nl.AppendU8(b, 2, 1)
		b = form(b, 3, linkModeBits, []int{6, 36, 38, 93}, []int{6, 10, 13, 14, 23, 24, 36, 37, 38, 39, 49, 50, 51, 93, 120})
		b = nl.AppendU8(nl.AppendU32(b, 5, 0xffffffff), 6, 0xff)
		return nl.AppendU32(b, 9, 4)
	})
	set(fibre, msgLinkInfoGet, func(b []byte) []byte { return u8s(b, 2, 3, 0, 0, 0, 0) })
	set(fibre, msgLinkStateGet, func(b []byte) []byte { return u8s(nl.AppendU8(b, 2, 0), 5, 0, 1) })
	set(fibre, msgWOLGet, func(b []byte) []byte { return form(b, 2, 8, nil, []int{}) })
	set(fibre, msgDebugGet, func(b []byte) []byte { return form(b, 2, 15, []int{2, 13}, ints(0, 14)) })
	set(fibre, msgFECGet, func(b []byte) []byte {
		b = nl.AppendU32(nl.AppendU8(form(b, 2, linkModeBits, []int{50, 51}, nil), 3, 1), 4, 50)
		return nl.AppendNested(b, 5, func(b []byte) []byte {
			b = nl.Append(b, 2, append(u64(100), append(u64(60), u64(40)...)...))
			return nl.Append(b, 3, u64(3))
		})
	})
	set(fibre, msgRingsGet, func(b []byte) []byte {
		b = nl.AppendU32(nl.AppendU32(b, 2, 8192), 5, 8192)
		b = nl.AppendU32(nl.AppendU32(b, 6, 1024), 9, 1024)
		b = nl.AppendU32(nl.AppendU8(nl.AppendU32(b, 10, 2048), 11, 2), 12, 64)
		return nl.AppendU8(b, 13, 0)
	})
	set(fibre, msgCoalesceGet, func(b []byte) []byte {
		b = u32s(b, 2, 8, 128, 1, 2, 16, 32, 3, 4, 1000000)
		b = u32s(u8s(b, 11, 1, 1), 13, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 5)
		return u8s(b, 24, 1, 0)
	})

	phy := &card{answers: map[uint8][]byte{}}
	set(phy, msgLinkModesGet, func(b []byte) []byte {
		b = nl.AppendU8(b, 2, 0)
		b = form(b, 3, linkModeBits, []int{68, 14, 74}, []int{9, 67, 68, 13, 14, 49, 74})
		b = form(b, 4, linkModeBits, []int{68, 14, 49}, nil)
		b = nl.AppendU8(nl.AppendU32(b, 5, 1000), 6, 1)
		return nl.AppendU8(u8s(b, 7, 5, 3), 10, 1)
	})
	set(phy, msgLinkInfoGet, func(b []byte) []byte { return u8s(b, 2, 0xef, 7, 2, 2, 1) })
	set(phy, msgLinkStateGet, func(b []byte) []byte { return u32s(nl.AppendU8(b, 2, 1), 3, 5, 7) })
	return map[string]*card{"gigabit": gigabit, "half": half, "fibre": fibre, "phy": phy}
}

func set(c *card, msg uint8, fill func([]byte) []byte) {
	head := nl.AppendNested(nil, 1, func(b []byte) []byte { return nl.AppendText(nl.AppendU32(b, 1, 2), 2, "eth0") })
	if msg == msgStatsGet {
		head = nl.AppendNested(nil, 2, func(b []byte) []byte { return nl.AppendText(nl.AppendU32(b, 1, 2), 2, "eth0") })
	}
	c.answers[msg] = fill(head)
}

func statGroup(b []byte, id, set uint32, stats ...uint16) []byte {
	return nl.AppendNested(b, 4, func(b []byte) []byte {
		b = nl.AppendU32(nl.AppendU32(b, 2, id), 3, set)
		for i, s := range stats {
			b = nl.AppendNested(b, 4, func(b []byte) []byte { return nl.Append(b, s, u64(uint64(1000*i)+7)) })
		}
		if id == 3 {
			for _, rx := range []uint16{5, 6} {
				for _, k := range [][2]uint32{{0, 64}, {65, 127}, {1519, 0}} {
					b = nl.AppendNested(b, rx, func(b []byte) []byte {
						return nl.Append(nl.AppendU32(nl.AppendU32(b, 7, k[0]), 8, k[1]), 9, u64(uint64(rx)*100+uint64(k[0])))
					})
				}
			}
		}
		return b
	})
}

// driverIoctls answers what has no netlink message.
func driverIoctls(driver string, stats int) map[uint32]func([]byte) error {
	return map[uint32]func([]byte) error{
		ioctlDriverInfo: func(b []byte) error {
			copy(b[4:], driver)
			copy(b[36:], "3.2.6-k")
			copy(b[68:], "0.13-4")
			copy(b[100:], "0000:00:19.0")
			host.PutUint32(b[176:], 2)
			host.PutUint32(b[180:], uint32(stats))
			host.PutUint32(b[184:], 5)
			host.PutUint32(b[188:], 4096)
			host.PutUint32(b[192:], 172)
			return nil
		},
		ioctlGetSetInfo: func(b []byte) error {
			mask := host.Uint64(b[8:])
			n := map[uint64]uint32{1 << setStats: uint32(stats), 1 << setPrivFlags: 2}[mask]
			host.PutUint32(b[16:], n)
			return nil
		},
		ioctlGetStrings: func(b []byte) error {
			names := []string{"rx_packets", "tx_packets", " tx_late_collisions", "a name of exactly 32 characters!!"}
			if host.Uint32(b[4:]) == setPrivFlags {
				names = []string{"s0ix-enabled", "legacy-rx"}
			}
			for i := range min(len(names), int(host.Uint32(b[8:]))) {
				copy(b[12+32*i:][:32], names[i])
			}
			return nil
		},
		ioctlGetRxRings: func(b []byte) error { host.PutUint64(b[8:], 4); return nil },
		ioctlGetRSS: func(b []byte) error {
			host.PutUint32(b[8:], 21)
			host.PutUint32(b[12:], 40)
			b[16] = 1
			for i := 0; i < 21 && len(b) > 24; i++ {
				host.PutUint32(b[24+4*i:], uint32(i%4))
			}
			for i := 0; i < 40 && len(b) > 24; i++ {
				b[24+84+i] = byte(i + 1)
			}
			return nil
		},
		ioctlGetStats: func(b []byte) error {
			host.PutUint32(b[4:], uint32(stats))
			for i := range stats {
				host.PutUint64(b[8+8*i:], 1<<40+uint64(i))
			}
			return nil
		},
	}
}

// writeCards writes the messages to a directory, for a program that is made to
// read them instead of the kernel's.
func writeCards(t *testing.T, dir string) {
	for name, c := range cards(listed) {
		for cmd, b := range c.answers {
			writeFixture(t, filepath.Join(dir, name, strconv.Itoa(int(cmd))), b)
		}
		for cmd := range c.ioctls {
			b := make([]byte, 2048)
			host.PutUint32(b, cmd)
			host.PutUint32(b[4:], setStats)
			host.PutUint32(b[8:], 4)
			if cmd == ioctlGetSetInfo {
				host.PutUint64(b[8:], 1<<setStats)
			}
			if err := c.IOCtl(b); err != nil {
				t.Fatal(err)
			}
			writeFixture(t, filepath.Join(dir, name, "ioctl-"+strconv.Itoa(int(cmd))), b)
		}
	}
}

func writeFixture(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

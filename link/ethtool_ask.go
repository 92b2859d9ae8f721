package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// Messages of the ethtool family, ETHTOOL_MSG_*_GET.
const (
	msgStringSetGet    = 1
	msgLinkInfoGet     = 2
	msgLinkModesGet    = 4
	msgLinkStateGet    = 6
	msgDebugGet        = 7
	msgWOLGet          = 9
	msgFeaturesGet     = 11
	msgPrivFlagsGet    = 13
	msgRingsGet        = 15
	msgChannelsGet     = 17
	msgCoalesceGet     = 19
	msgPauseGet        = 21
	msgEEEGet          = 23
	msgTSInfoGet       = 25
	msgFECGet          = 29
	msgModuleEEPROMGet = 31
	msgStatsGet        = 32
)

// String sets, ETH_SS_*.
const (
	setStats       = 1
	setPrivFlags   = 2
	setFeatures    = 4
	setLinkModes   = 9
	setMessages    = 10
	setWOL         = 11
	setTimestamp   = 12
	setTxTypes     = 13
	setRxFilters   = 14
	setStandard    = 16
	setStandardEth = 17 // ETH_SS_STATS_ETH_PHY, the first of a group
)

// Attributes of the header, and its flags.
const (
	headerIndex = 1
	headerFlags = 3

	flagCompact = 1 // bit sets as words of 32 bits
	flagStats   = 4
)

// header appends the header of a request about the device.
func (d *Device) header(b []byte, attr uint16, flags uint32) []byte {
	return nl.AppendNested(b, attr, func(b []byte) []byte {
		b = nl.AppendU32(b, headerIndex, uint32(d.Index))
		return nl.AppendU32(b, headerFlags, flags)
	})
}

// ask asks over netlink, or by the other way when the kernel has no such
// message. body, unless it is nil, is the whole request.
func (d *Device) ask(ctx context.Context, cmd uint8, body []byte, fn func(attrs []byte) error, other func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !d.ops[cmd] {
		if other == nil {
			return syscall.EOPNOTSUPP
		}
		return other()
	}
	if body == nil {
		body = d.header(nil, 1, flagCompact)
	}
	// An error of fn is about what was said: the socket is as good as before.
	var said error
	err := d.kernel.Generic(ctx, cmd, body, func(b []byte) error {
		said = fn(b)
		return nil
	})
	if err != nil {
		return err
	}
	return said
}

// failed wraps the error of a section.
func (d *Device) failed(what string, err error) error {
	if errors.Is(err, syscall.ENODEV) {
		err = absent{err}
	}
	return operr.New("link: "+what, d.Name, err)
}

func needAdmin(err error) error { return operr.Need(err, "CAP_NET_ADMIN") }

// nameSet returns the words of a set that is the same for every device. A kernel
// that cannot be asked gives the words that were known when this was written.
func (d *Device) nameSet(ctx context.Context, set uint32) ([]string, error) {
	if n, ok := d.names[set]; ok {
		return n, nil
	}
	n, err := d.stringSet(ctx, set)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil || len(n) == 0:
		n = fixedNames(set)
	}
	if d.names == nil {
		d.names = map[uint32][]string{}
	}
	d.names[set] = n
	return n, nil
}

// stringSet asks for a set of words (ETHTOOL_MSG_STRSET_GET).
func (d *Device) stringSet(ctx context.Context, set uint32) (names []string, err error) {
	flags := uint32(flagCompact)
	body := nl.AppendNested(d.header(nil, 1, flags), 2, func(b []byte) []byte {
		return nl.AppendNested(b, 1, func(b []byte) []byte { return nl.AppendU32(b, 1, set) })
	})
	err = d.ask(ctx, msgStringSetGet, body, func(b []byte) error { names = parseStringSet(b, set); return nil },
		func() (err error) { names, err = d.ioctlStrings(set); return err })
	return names, err
}

// maxStrings bounds what an index may make a set grow to.
const maxStrings = 1 << 16

// parseStringSet reads ETHTOOL_A_STRSET_*.
func parseStringSet(b []byte, want uint32) []string {
	for a := nl.NewAttrs(b); a.Next(); {
		if a.Type != 2 {
			continue
		}
		for set := nl.NewAttrs(a.Data); set.Next(); {
			if names, id := parseStrings(set.Data); id == want {
				return names
			}
		}
	}
	return nil
}

func parseStrings(b []byte) (names []string, id uint32) {
	for a := nl.NewAttrs(b); a.Next(); {
		switch a.Type {
		case 1:
			nl.Set32(&id, a.Data)
		case 3:
			for s := nl.NewAttrs(a.Data); s.Next(); {
				var i uint32
				var text string
				for f := nl.NewAttrs(s.Data); f.Next(); {
					switch f.Type {
					case 1:
						nl.Set32(&i, f.Data)
					case 2:
						text = nl.Text(f.Data)
					}
				}
				if i < maxStrings {
					for int(i) >= len(names) {
						names = append(names, "")
					}
					names[i] = text
				}
			}
		}
	}
	return names, id
}

// bitset is a set of bits with a mask of those that are valid, both as indices in
// ascending order (ETHTOOL_A_BITSET_*).
type bitset struct {
	value, mask []uint32
	own         map[uint32]string // names that came with the bits
}

// parseBitset reads either form, compact or a list. A list without mask is
// one of bits that are set.
func parseBitset(b []byte) (s bitset) {
	var noMask bool
	for a := nl.NewAttrs(b); a.Next(); {
		switch a.Type {
		case 1:
			noMask = true
		case 3:
			s.list(a.Data, noMask)
		case 4:
			s.value = indices(a.Data)
		case 5:
			s.mask = indices(a.Data)
		}
	}
	slices.Sort(s.value)
	slices.Sort(s.mask)
	s.value, s.mask = slices.Compact(s.value), slices.Compact(s.mask)
	return s
}

func (s *bitset) list(b []byte, noMask bool) {
	for bit := nl.NewAttrs(b); bit.Next(); {
		var i uint32
		var name string
		value := noMask
		for f := nl.NewAttrs(bit.Data); f.Next(); {
			switch f.Type {
			case 1:
				nl.Set32(&i, f.Data)
			case 2:
				name = nl.Text(f.Data)
			case 3:
				value = true
			}
		}
		if value {
			s.value = append(s.value, i)
		}
		if !noMask {
			s.mask = append(s.mask, i)
		}
		if name != "" {
			if s.own == nil {
				s.own = map[uint32]string{}
			}
			s.own[i] = name
		}
	}
}

// indices returns the bits that are set in words of 32 in host order.
func indices(b []byte) (list []uint32) {
	for at := 0; at+4 <= len(b); at += 4 {
		for w, i := binary.NativeEndian.Uint32(b[at:]), uint32(at*8); w != 0; w, i = w>>1, i+1 {
			if w&1 != 0 {
				list = append(list, i)
			}
		}
	}
	return list
}

// words returns the words of bits; nil for none.
func (s *bitset) words(bits []uint32, names []string) Words {
	var w Words
	for _, i := range bits {
		switch {
		case s.own[i] != "":
			w = append(w, s.own[i])
		case int(i) < len(names) && names[i] != "":
			w = append(w, names[i])
		default:
			w = append(w, fmt.Sprintf("bit%d", i))
		}
	}
	return w
}

// parseFamily reads CTRL_ATTR_*: the number of a family and its messages.
func parseFamily(b []byte) (id uint16, ops map[uint8]bool) {
	ops = map[uint8]bool{}
	for a := nl.NewAttrs(b); a.Next(); {
		switch a.Type {
		case 1: // CTRL_ATTR_FAMILY_ID
			nl.Set16(&id, a.Data)
		case 6: // CTRL_ATTR_OPS
			for op := nl.NewAttrs(a.Data); op.Next(); {
				for f := nl.NewAttrs(op.Data); f.Next(); {
					if v, ok := nl.U32(f.Data); f.Type == 1 && ok && v <= 255 {
						ops[uint8(v)] = true
					}
				}
			}
		}
	}
	return id, ops
}

// virtualKind reports whether an interface is made of software, and whether that
// depends on the one below it.
func virtualKind(l Link) (virtual, below bool) {
	switch l.Kind {
	case "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "hsr":
		return true, true
	case "", "dsa", "can", "wwan", "rmnet":
		// Paravirtual cards have a bus of their own.
		switch l.ParentBus {
		case "virtio", "xen", "vmbus":
			return true, false
		}
		return l.Loopback() || l.Kind == "" && l.ParentBus == "" && l.Type != TypeEther, false
	}
	return true, false
}

// absent is the kernel's word for an interface that is not there, which is not
// the one that os.ErrNotExist knows.
type absent struct{ error }

func (absent) Is(target error) bool { return target == os.ErrNotExist }
func (a absent) Unwrap() error      { return a.error }

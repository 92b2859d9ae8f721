package link

import (
	"context"
	"slices"
	"syscall"
)

// RSS is receive side scaling: how a card spreads flows over its queues
// (ETHTOOL_GRSSH).
type RSS struct {
	Rings       uint64   `json:"rings"`                // queues that there are
	Indirection []uint32 `json:"indirection,omitzero"` // queue by hash
	Key         Hex      `json:"key,omitzero"`
	Functions   Words    `json:"functions,omitzero"` // that there are: "toeplitz", "xor", "crc32"
	Function    Words    `json:"function,omitzero"`  // in use
}

const (
	ioctlGetRxRings = 0x2d
	ioctlGetRSS     = 0x46
	setHash         = 5
)

// RSS asks how flows are spread over queues.
func (d *Device) RSS(ctx context.Context) (RSS, error) {
	functions, err := d.nameSet(ctx, setHash)
	var r RSS
	if err == nil {
		r, err = d.ioctlRSS(functions)
	}
	return r, d.failed("rss", err)
}

func (d *Device) ioctlRSS(functions []string) (r RSS, err error) {
	// struct ethtool_rxnfc: the number is at the third word, and the kernel may
	// fill all of it.
	b, err := d.call(ioctlGetRxRings, 0, 256)
	if err != nil {
		return r, err
	}
	r.Rings = host.Uint64(b[8:])
	const fixed = 24
	size, err := d.call(ioctlGetRSS, 0, fixed)
	if err != nil {
		return r, err
	}
	entries, key := host.Uint32(size[8:]), host.Uint32(size[12:])
	if entries > maxStrings || key > maxStrings {
		return r, syscall.EOVERFLOW
	}
	b = make([]byte, fixed+4*int(entries)+int(key))
	copy(b, size[:fixed])
	clear(b[16:fixed])
	if err := d.kernel.IOCtl(b); err != nil {
		return r, err
	}
	if host.Uint32(b[8:]) != entries || host.Uint32(b[12:]) != key {
		return r, syscall.EAGAIN
	}
	r.Indirection = words32At(b, fixed, int(entries))
	r.Key = slices.Clone(b[fixed+4*int(entries):])
	var set bitset
	r.Functions = slices.Clone(Words(functions))
	r.Function = set.words(wordBits(uint32(b[16])), functions)
	return r, nil
}

package sockets

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// entries calls fn with the name of each entry of a buffer that getdents64(2)
// filled; names are valid during the call.
func entries(b []byte, fn func(name []byte)) {
	// struct linux_dirent64: ino, off, u16 reclen, u8 type, name with NUL.
	const nameOffset = 19
	for len(b) > nameOffset {
		n := int(binary.NativeEndian.Uint16(b[16:]))
		if n <= nameOffset || n > len(b) {
			return
		}
		// A name without its NUL is none; fn may count on the byte behind it.
		if i := bytes.IndexByte(b[nameOffset:n], 0); i > 0 {
			fn(b[nameOffset : nameOffset+i])
		}
		b = b[n:]
	}
}

// number reads an unsigned decimal that fits 31 bits: a PID or a descriptor.
func number(b []byte) (int, bool) {
	n, ok := decimal(b)
	return int(n), ok && n <= math.MaxInt32
}

// decimal reads up to ten digits.
func decimal(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// socketInode reads what a link in /proc/PID/fd says of a socket:
// "socket:[1234]".
func socketInode(link []byte) (inode uint32, ok bool) {
	link, ok = bytes.CutPrefix(link, []byte("socket:["))
	if !ok {
		return 0, false
	}
	digits, ok := bytes.CutSuffix(link, []byte("]"))
	if !ok {
		return 0, false
	}
	n, ok := decimal(digits)
	return uint32(n), ok && n <= math.MaxUint32
}

// programName returns the last part of the first argument of a command line
// whose arguments end in NUL, as netstat shows it.
func programName(cmdline []byte) string {
	arg, _, _ := bytes.Cut(cmdline, []byte{0})
	return string(arg[bytes.LastIndexByte(arg, '/')+1:])
}

// holding is a socket found among a process's descriptors.
type holding struct {
	inode uint32
	Process
}

// assign hands the processes out to the sockets that they hold.
func (t *Table) assign(found []holding) {
	slices.SortFunc(found, func(a, b holding) int {
		return cmp.Or(cmp.Compare(a.inode, b.inode), cmp.Compare(a.PID, b.PID), cmp.Compare(a.FD, b.FD))
	})
	owners := make([]Process, len(found)) // one array for all of them
	first := make(map[uint32]int, len(found))
	for i, h := range found {
		owners[i] = h.Process
		if i == 0 || found[i-1].inode != h.inode {
			first[h.inode] = i
		}
	}
	for i := range t.Sockets {
		s := &t.Sockets[i]
		if s.Inode == 0 {
			s.Ownership = OwnershipNone
			continue
		}
		from, ok := first[s.Inode]
		if !ok {
			s.Ownership = OwnershipUnknown
			t.Walk.Unowned++
			continue
		}
		to := from + 1
		for to < len(found) && found[to].inode == s.Inode {
			to++
		}
		s.Ownership, s.Owners = OwnershipFound, owners[from:to:to]
	}
}

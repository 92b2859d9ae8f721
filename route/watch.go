package route

import (
	"context"
	"iter"

	"github.com/netsonde/netsonde/internal/nl"
)

// WatchOptions choose what is watched. Nil is all routes.
type WatchOptions struct {
	// NetNS is a descriptor of a network namespace; 0: that of the calling
	// thread. Entering another one needs CAP_SYS_ADMIN.
	NetNS     int
	Family    Family // 0: both
	Table     uint32 // routes only; 0: every table
	Routes    bool   // what is watched if nothing else is
	Rules     bool   // as Rules
	Neighbors bool   // as Neighbors, without proxies
	// Buffer is how many bytes of notifications the kernel keeps for a reader that
	// is late; more are lost, which is told. 0: 4 MiB. Beyond
	// net.core.rmem_max, often 208 KiB, it needs CAP_NET_ADMIN; without, it is
	// as large as allowed.
	Buffer int
}

// Watch tells what is in the tables and then every change, until ctx ends or the
// loop is left. A mirror that applies the events equals the kernel's table:
//
//   - at first everything is ChangeAdded, up to ChangeSynced;
//   - when the reader is so late that the kernel had to drop notifications, that
//     is told as ChangeLost; then come the differences, up to the next
//     ChangeSynced;
//   - where the kernel does not notify, as of the IPv4 routes that go with an
//     interface or an address, or where a notification does not say enough, the
//     table is read again, and the differences are told.
//
// Events come in the order of the kernel's notifications. Memory is that of a copy
// of the table. The clocks and counters of an entry (Expires, LastUse, Used,
// Probes …) make no events.
//
// Of neighbours the mirror has what the kernel notifies, and what was there when
// the table was read. The kernel notifies what becomes of them, not that it has
// made them: one that it is asking for comes with the answer, or as failed when
// there is none, and the entries of multicast, broadcast and loopback addresses
// (noarp), which it makes when something is first sent there, come only if the table
// is read again, as after a ChangeLost. Not each state is notified either: a
// neighbour may be in delay or probed without an event. That one has gone is always
// told, if it was known. `ip monitor neigh` sees no more; [Neighbors] has them all.
//
// A pair is an event and nil, or a zero Event and an error, after which it stops;
// the end of ctx is its cause. It may be ranged over once.
func Watch(ctx context.Context, o *WatchOptions) iter.Seq2[Event, error] { return watch(ctx, o) }

// Event is a change of one entry, or about the watch itself.
type Event struct {
	Change   Change    `json:"change"`
	Route    *Route    `json:"route,omitzero"`
	Rule     *Rule     `json:"rule,omitzero"`
	Neighbor *Neighbor `json:"neighbor,omitzero"`

	// What was there before a ChangeChanged.
	OldRoute    *Route    `json:"old_route,omitzero"`
	OldRule     *Rule     `json:"old_rule,omitzero"`
	OldNeighbor *Neighbor `json:"old_neighbor,omitzero"`
}

// Change is what happened, in text a word such as "added".
type Change = nl.ChangeKind

// The changes.
const (
	ChangeNone    = nl.ChangeNone
	ChangeAdded   = nl.ChangeAdded   // it is there now, or was there at the start
	ChangeChanged = nl.ChangeChanged // it has taken the place of the old one
	ChangeDeleted = nl.ChangeDeleted // it is there no more; it is told as it last was
	ChangeLost    = nl.ChangeLost    // notifications were lost: the mirror may differ until ChangeSynced
	ChangeSynced  = nl.ChangeSynced  // everything is told
)

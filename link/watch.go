package link

import (
	"context"
	"iter"

	"github.com/netsonde/netsonde/internal/nl"
)

// WatchOptions choose what is watched. Nil is all interfaces and addresses.
type WatchOptions struct {
	// NetNS is a descriptor of a network namespace; 0: that of the calling
	// thread. Entering another one needs CAP_SYS_ADMIN.
	NetNS int
	// Buffer is how many bytes of notifications the kernel keeps for a reader that
	// is late; more are lost, which is told. 0: 1 MiB. Beyond
	// net.core.rmem_max, often 208 KiB, it needs CAP_NET_ADMIN; without, it is
	// as large as allowed.
	Buffer int
}

// Watch tells which interfaces and addresses there are and then every change,
// until ctx ends or the loop is left. A mirror that applies the events equals the
// kernel's tables:
//
//   - at first everything is ChangeAdded, interfaces before their addresses, up to
//     ChangeSynced;
//   - when the reader is so late that the kernel had to drop notifications, that
//     is told as ChangeLost; then come the differences, up to the next
//     ChangeSynced.
//
// Each change of a carrier is an event, as far as the kernel notifies it: it
// holds back changes that follow each other within a second. Counters, timers of
// bridges and lifetimes that run down make no events. What the kernel changes
// without notifying it, such as a queueing discipline, or the alias and alternative
// names of an interface that is down, is told with the next event of any interface,
// for which the table is read again.
//
// A pair is an event and nil, or a zero Event and an error, after which it stops;
// the end of ctx is its cause. It may be ranged over once.
func Watch(ctx context.Context, o *WatchOptions) iter.Seq2[Event, error] { return watch(ctx, o) }

// Event is a change of an interface or an address, or about the watch itself.
type Event struct {
	Change Change `json:"change"`
	Index  int    `json:"ifindex,omitzero"` // of the interface
	Name   string `json:"ifname,omitzero"`  // of the interface
	// Link is the interface, without its addresses; nil in events of addresses.
	Link *Link `json:"link,omitzero"`
	// Address is an address of it; nil in events of the interface itself.
	Address *Address `json:"address,omitzero"`

	// What was there before a ChangeChanged.
	OldLink    *Link    `json:"old_link,omitzero"`
	OldAddress *Address `json:"old_address,omitzero"`
}

// Change is what happened, in text a word such as "added".
type Change = nl.ChangeKind

// The changes.
const (
	ChangeNone    = nl.ChangeNone
	ChangeAdded   = nl.ChangeAdded   // it is there now, or was there at the start
	ChangeChanged = nl.ChangeChanged // something about it is different
	ChangeDeleted = nl.ChangeDeleted // it is there no more; it is told as it last was
	ChangeLost    = nl.ChangeLost    // notifications were lost: the mirror may differ until ChangeSynced
	ChangeSynced  = nl.ChangeSynced  // everything is told
)

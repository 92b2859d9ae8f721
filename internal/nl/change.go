package nl

import "github.com/netsonde/netsonde/internal/enum"

// ChangeKind is what an event of a watch tells. The rooms that watch export it
// as Change.
type ChangeKind uint8

// The kinds.
const (
	ChangeNone ChangeKind = iota
	ChangeAdded
	ChangeChanged
	ChangeDeleted
	ChangeLost
	ChangeSynced
)

var changeNames = []string{"none", "added", "changed", "deleted", "lost", "synced"}

// String returns the word.
func (c ChangeKind) String() string { return enum.String(changeNames, "change", c) }

// MarshalText implements [encoding.TextMarshaler].
func (c ChangeKind) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *ChangeKind) UnmarshalText(b []byte) (err error) {
	*c, err = enum.Parse[ChangeKind](changeNames, "change", b)
	return err
}

package ping

import (
	"bytes"

	"github.com/netsonde/netsonde/internal/icmpsock"
)

// Damage is what is wrong with a reply that came in time.
type Damage struct {
	Checksum bool   `json:"checksum,omitzero"` // the ICMP checksum is wrong; only raw sockets see such replies
	Missing  int    `json:"missing,omitzero"`  // bytes by which it is shorter than the request
	Offset   int    `json:"offset,omitzero"`   // the first byte of the payload that differs, beyond the 8 that are the probe's own
	Want     byte   `json:"want,omitzero"`     // what it was when it was sent
	Got      byte   `json:"got,omitzero"`      // what it is; equal to Want where only the probe's own bytes differ
	Payload  []byte `json:"payload,omitzero"`  // all of it, as it came
}

// noticed tells whether the sink of a probe wants to know what is no outcome.
func noticed(s *slot) bool {
	r, ok := s.sink.(*run)
	return ok && r.notices
}

// notice tells of a damaged reply as soon as it comes. It is no outcome: a good
// one may still follow.
func (e *Engine) notice(s *slot, m *icmpsock.Message) {
	if !noticed(s) {
		return
	}
	d := &Damage{Checksum: m.Damaged, Missing: max(0, len(e.payload)-len(m.Payload)), Payload: bytes.Clone(m.Payload)}
	for i := icmpsock.HeadLen; i < min(len(e.payload), len(m.Payload)); i++ {
		if m.Payload[i] != e.payload[i] {
			d.Offset, d.Want, d.Got = i, e.payload[i], m.Payload[i]
			break
		}
	}
	r := Result{Outcome: OutcomeNotice, From: m.From, TTL: m.TTL, TOS: max(0, m.TOS), Size: m.Size, Damage: d}
	if sameHost(r.From, s.dst) {
		r.From = s.dst
	}
	r.RTT, r.Stamp = roundTrip(s, m.Stamp, e.now)
	e.tell(s, &r)
}

package sockets

import (
	"encoding/binary"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
	"github.com/netsonde/netsonde/internal/nl"
)

// TCPInfo is what the kernel knows about a TCP connection (struct tcp_info of
// linux/tcp.h, and what inet_diag adds about congestion control). What an older
// kernel does not tell is zero.
type TCPInfo struct {
	State       State         `json:"state"`
	CongState   CongState     `json:"ca_state"`
	Retransmits uint8         `json:"retransmits,omitzero"` // of the segment that waits now
	Probes      uint8         `json:"probes,omitzero"`      // unanswered window probes or keepalives
	Backoff     uint8         `json:"backoff,omitzero"`     // how often RTO was doubled
	Options     TCPOptions    `json:"options,omitzero"`     // agreed in the handshake
	SendScale   uint8         `json:"snd_wscale,omitzero"`  // window scale of the peer, a power of two
	RecvScale   uint8         `json:"rcv_wscale,omitzero"`  // window scale of this host
	AppLimited  bool          `json:"delivery_rate_app_limited,omitzero"`
	FastOpen    uint8         `json:"fastopen_client_fail,omitzero"` // TFO_*: why TCP fast open was not used
	RTO         time.Duration `json:"rto_ns,omitzero"`
	ATO         time.Duration `json:"ato_ns,omitzero"`     // delay of acknowledgements
	SendMSS     uint32        `json:"snd_mss,omitzero"`    // bytes a segment
	RecvMSS     uint32        `json:"rcv_mss,omitzero"`    // bytes a segment
	AdvMSS      uint32        `json:"advmss,omitzero"`     // told to the peer
	PMTU        uint32        `json:"pmtu,omitzero"`       // path MTU as known, bytes
	Reordering  uint32        `json:"reordering,omitzero"` // segments

	// Segments in flight.
	Unacked uint32 `json:"unacked,omitzero"`
	Sacked  uint32 `json:"sacked,omitzero"`
	Lost    uint32 `json:"lost,omitzero"`
	Retrans uint32 `json:"retrans,omitzero"` // sent again and not yet acknowledged

	// Since the last packet of each kind, to the millisecond.
	LastDataSent time.Duration `json:"last_data_sent_ns,omitzero"`
	LastDataRecv time.Duration `json:"last_data_recv_ns,omitzero"`
	LastAckRecv  time.Duration `json:"last_ack_recv_ns,omitzero"`

	RTT    time.Duration `json:"rtt_ns,omitzero"`    // smoothed
	RTTVar time.Duration `json:"rttvar_ns,omitzero"` // mean deviation
	MinRTT time.Duration `json:"min_rtt_ns,omitzero"`
	// RecvRTT is the round-trip time as the receiver estimates it.
	RecvRTT time.Duration `json:"rcv_rtt_ns,omitzero"`

	SendCwnd     uint32 `json:"snd_cwnd,omitzero"`     // congestion window, segments
	SendSsthresh uint32 `json:"snd_ssthresh,omitzero"` // slow start threshold, segments; 2147483647 was never set
	RecvSsthresh uint32 `json:"rcv_ssthresh,omitzero"` // bytes
	RecvSpace    uint32 `json:"rcv_space,omitzero"`    // bytes
	SendWindow   uint32 `json:"snd_wnd,omitzero"`      // the peer's window, bytes (Linux 5.4)
	RecvWindow   uint32 `json:"rcv_wnd,omitzero"`      // this host's window, bytes (Linux 6.2)

	PacingRate    uint64 `json:"pacing_rate,omitzero"`     // bytes a second; all ones is no bound
	MaxPacingRate uint64 `json:"max_pacing_rate,omitzero"` // bytes a second; all ones is no bound
	DeliveryRate  uint64 `json:"delivery_rate,omitzero"`   // bytes a second, as last measured

	BytesSent     uint64 `json:"bytes_sent,omitzero"`    // repeats included
	BytesRetrans  uint64 `json:"bytes_retrans,omitzero"` // repeats
	BytesAcked    uint64 `json:"bytes_acked,omitzero"`
	BytesReceived uint64 `json:"bytes_received,omitzero"`
	NotSent       uint32 `json:"notsent_bytes,omitzero"` // written by the process and not sent yet

	// Segments since the connection opened.
	SegsOut      uint32 `json:"segs_out,omitzero"`
	SegsIn       uint32 `json:"segs_in,omitzero"`
	DataSegsOut  uint32 `json:"data_segs_out,omitzero"`
	DataSegsIn   uint32 `json:"data_segs_in,omitzero"`
	TotalRetrans uint32 `json:"total_retrans,omitzero"`
	Delivered    uint32 `json:"delivered,omitzero"`
	DeliveredCE  uint32 `json:"delivered_ce,omitzero"` // of them with congestion experienced (RFC 3168)
	DSACKDups    uint32 `json:"dsack_dups,omitzero"`   // that the peer had twice (RFC 2883)
	ReordSeen    uint32 `json:"reord_seen,omitzero"`   // reordering events
	OutOfOrder   uint32 `json:"rcv_ooopack,omitzero"`  // received out of order
	Rehash       uint32 `json:"rehash,omitzero"`       // how often the path hash was changed after timeouts
	TotalRTO     uint16 `json:"total_rto,omitzero"`    // timeouts (Linux 6.7)
	RTORecovered uint16 `json:"rto_recovery,omitzero"` // recoveries from them
	ReceivedCE   uint32 `json:"received_ce,omitzero"`  // segments with congestion experienced (Linux 6.18)

	TotalRTOTime  time.Duration `json:"total_rto_time_ns,omitzero"` // spent in recoveries
	Busy          time.Duration `json:"busy_time_ns,omitzero"`      // spent with data in flight
	WindowLimited time.Duration `json:"rwnd_limited_ns,omitzero"`   // of Busy, held up by the peer's window
	BufferLimited time.Duration `json:"sndbuf_limited_ns,omitzero"` // of Busy, held up by the send buffer

	Congestion string `json:"congestion,omitzero"` // algorithm, such as "cubic"
	Vegas      *Vegas `json:"vegas,omitzero"`
	DCTCP      *DCTCP `json:"dctcp,omitzero"`
	BBR        *BBR   `json:"bbr,omitzero"`

	More nl.Hex `json:"more,omitzero"` // bytes of struct tcp_info that the library has no field for
}

// Vegas is the state of the congestion controls vegas and those like it
// (struct tcpvegas_info).
type Vegas struct {
	Enabled bool          `json:"enabled"`
	Samples uint32        `json:"rttcnt"`
	RTT     time.Duration `json:"rtt_ns"`
	MinRTT  time.Duration `json:"minrtt_ns"`
}

// DCTCP is the state of the congestion control dctcp (struct tcp_dctcp_info).
type DCTCP struct {
	Enabled bool   `json:"enabled"`
	CEState uint16 `json:"ce_state"`
	Alpha   uint32 `json:"alpha"` // share of marked bytes, times 1024
	ECN     uint32 `json:"ab_ecn"`
	Total   uint32 `json:"ab_tot"`
}

// BBR is the state of the congestion control bbr (struct tcp_bbr_info).
type BBR struct {
	Bandwidth  uint64        `json:"bw"` // bytes a second
	MinRTT     time.Duration `json:"min_rtt_ns"`
	PacingGain uint32        `json:"pacing_gain"` // times 256
	CwndGain   uint32        `json:"cwnd_gain"`   // times 256
}

// CongState is the state of congestion control (enum tcp_ca_state).
type CongState uint8

// The states.
const (
	CongOpen     CongState = iota // all is well
	CongDisorder                  // something came out of order
	CongCWR                       // the window is being reduced: told by ECN or this host
	CongRecovery                  // something was lost and is sent again
	CongLoss                      // a timeout
)

var congStateNames = []string{"open", "disorder", "cwr", "recovery", "loss"}

// String returns the word, such as "recovery".
func (c CongState) String() string { return enum.String(congStateNames, "congestion state", c) }

// MarshalText implements [encoding.TextMarshaler].
func (c CongState) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *CongState) UnmarshalText(b []byte) (err error) {
	*c, err = enum.Parse[CongState](congStateNames, "congestion state", b)
	return err
}

// TCPOptions are what the two ends agreed on (TCPI_OPT_* of linux/tcp.h).
type TCPOptions uint8

var tcpOptionNames = []string{"timestamps", "sack", "wscale", "ecn", "ecn_seen", "syn_data", "usec_ts", "tfo_child"}

// Has reports whether the option of that name was agreed on.
func (o TCPOptions) Has(name string) bool {
	bit, err := enum.ParseBit[TCPOptions](tcpOptionNames, "TCP option", name)
	return err == nil && o&bit != 0
}

// String returns the words with a bar between them, "" for none.
func (o TCPOptions) String() string { return enum.Join(tcpOptionNames, o) }

// MarshalJSON implements [encoding/json.Marshaler]: an array of words.
func (o TCPOptions) MarshalJSON() ([]byte, error) { return enum.MarshalWords(tcpOptionNames, o) }

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (o *TCPOptions) UnmarshalJSON(b []byte) (err error) {
	*o, err = enum.UnmarshalWords[TCPOptions](tcpOptionNames, "TCP option", b)
	return err
}

// fields reads the members of a kernel struct one after the other; those
// beyond the end of a shorter one are zero.
type fields struct {
	b   []byte
	off int // of the next member
}

func (f *fields) next(n int) []byte {
	from := f.off
	f.off += n
	if f.off > len(f.b) {
		return make([]byte, n)
	}
	return f.b[from:f.off]
}

func (f *fields) u8() uint8   { return f.next(1)[0] }
func (f *fields) u16() uint16 { return binary.NativeEndian.Uint16(f.next(2)) }
func (f *fields) u32() uint32 { return binary.NativeEndian.Uint32(f.next(4)) }
func (f *fields) u64() uint64 { return binary.NativeEndian.Uint64(f.next(8)) }

func (f *fields) micros() time.Duration { return time.Duration(f.u32()) * time.Microsecond }
func (f *fields) millis() time.Duration { return time.Duration(f.u32()) * time.Millisecond }

// micros64 reads a time that only a broken kernel can make longer than a
// Duration.
func (f *fields) micros64() time.Duration {
	return time.Duration(min(f.u64(), 1<<53)) * time.Microsecond
}

// rest returns a copy of what is left.
func (f *fields) rest() nl.Hex {
	if f.off >= len(f.b) {
		return nil
	}
	return append(nl.Hex(nil), f.b[f.off:]...)
}

// parse reads struct tcp_info.
func (t *TCPInfo) parse(b []byte) {
	f := &fields{b: b}
	t.State, t.CongState, t.Retransmits, t.Probes = State(f.u8()), CongState(f.u8()), f.u8(), f.u8()
	t.Backoff, t.Options = f.u8(), TCPOptions(f.u8())
	scales, bits := f.u8(), f.u8()
	if littleEndian {
		t.SendScale, t.RecvScale = scales&15, scales>>4
		t.AppLimited, t.FastOpen = bits&1 != 0, bits>>1&3
	} else {
		t.SendScale, t.RecvScale = scales>>4, scales&15
		t.AppLimited, t.FastOpen = bits&0x80 != 0, bits>>5&3
	}
	t.RTO, t.ATO, t.SendMSS, t.RecvMSS = f.micros(), f.micros(), f.u32(), f.u32()
	t.Unacked, t.Sacked, t.Lost, t.Retrans = f.u32(), f.u32(), f.u32(), f.u32()
	f.u32() // fackets: no longer used
	t.LastDataSent = f.millis()
	f.u32() // last_ack_sent: not remembered
	t.LastDataRecv, t.LastAckRecv = f.millis(), f.millis()
	t.PMTU, t.RecvSsthresh, t.RTT, t.RTTVar = f.u32(), f.u32(), f.micros(), f.micros()
	t.SendSsthresh, t.SendCwnd, t.AdvMSS, t.Reordering = f.u32(), f.u32(), f.u32(), f.u32()
	t.RecvRTT, t.RecvSpace, t.TotalRetrans = f.micros(), f.u32(), f.u32()
	t.PacingRate, t.MaxPacingRate, t.BytesAcked, t.BytesReceived = f.u64(), f.u64(), f.u64(), f.u64()
	t.SegsOut, t.SegsIn, t.NotSent, t.MinRTT = f.u32(), f.u32(), f.u32(), f.micros()
	if t.MinRTT == noMinRTT {
		t.MinRTT = 0
	}
	t.DataSegsIn, t.DataSegsOut, t.DeliveryRate = f.u32(), f.u32(), f.u64()
	t.Busy, t.WindowLimited, t.BufferLimited = f.micros64(), f.micros64(), f.micros64()
	t.Delivered, t.DeliveredCE, t.BytesSent, t.BytesRetrans = f.u32(), f.u32(), f.u64(), f.u64()
	t.DSACKDups, t.ReordSeen, t.OutOfOrder, t.SendWindow = f.u32(), f.u32(), f.u32(), f.u32()
	t.RecvWindow, t.Rehash, t.TotalRTO, t.RTORecovered = f.u32(), f.u32(), f.u16(), f.u16()
	t.TotalRTOTime, t.ReceivedCE = f.millis(), f.u32()
	t.More = f.rest()
}

// noMinRTT is what the kernel tells before it has measured one.
const noMinRTT = time.Duration(1<<32-1) * time.Microsecond

// littleEndian reports in which order this machine's compilers number bits.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func parseVegas(b []byte) *Vegas {
	f := &fields{b: b}
	return &Vegas{f.u32() != 0, f.u32(), f.micros(), f.micros()}
}

func parseDCTCP(b []byte) *DCTCP {
	f := &fields{b: b}
	return &DCTCP{f.u16() != 0, f.u16(), f.u32(), f.u32(), f.u32()}
}

func parseBBR(b []byte) *BBR {
	f := &fields{b: b}
	lo, hi := f.u32(), f.u32()
	return &BBR{uint64(hi)<<32 | uint64(lo), f.micros(), f.u32(), f.u32()}
}

package sockets

// MPTCPInfo is what the kernel knows about an MPTCP connection (struct
// mptcp_info of linux/mptcp.h). Its subflows are TCP sockets of their own.
type MPTCPInfo struct {
	Subflows         uint8  `json:"subflows"` // besides the first
	AddrSignal       uint8  `json:"add_addr_signal"`
	AddrAccepted     uint8  `json:"add_addr_accepted"`
	MaxSubflows      uint8  `json:"subflows_max"`
	MaxAddrSignal    uint8  `json:"add_addr_signal_max"`
	MaxAddrAccepted  uint8  `json:"add_addr_accepted_max"`
	Fallback         bool   `json:"fallback"`              // it is plain TCP: the peer or the path did not take part
	RemoteKey        bool   `json:"remote_key_received"`   // the peer has shown that it speaks MPTCP
	Token            uint32 `json:"token"`                 // of this connection, as in "ip mptcp monitor"
	WriteSeq         uint64 `json:"write_seq"`             // next to be written
	SendUna          uint64 `json:"snd_una"`               // first not acknowledged
	RecvNext         uint64 `json:"rcv_nxt"`               // next expected
	LocalAddrUsed    uint8  `json:"local_addr_used"`       // addresses of this host in use
	MaxLocalAddrUsed uint8  `json:"local_addr_max"`        //
	Checksum         bool   `json:"csum_enabled,omitzero"` //
}

func parseMPTCP(b []byte) *MPTCPInfo {
	f := &fields{b: b}
	m := &MPTCPInfo{Subflows: f.u8(), AddrSignal: f.u8(), AddrAccepted: f.u8(),
		MaxSubflows: f.u8(), MaxAddrSignal: f.u8(), MaxAddrAccepted: f.u8()}
	f.next(2) // up to the next multiple of 4
	flags := f.u32()
	m.Fallback, m.RemoteKey = flags&1 != 0, flags&2 != 0
	m.Token = f.u32()
	m.WriteSeq, m.SendUna, m.RecvNext = f.u64(), f.u64(), f.u64()
	m.LocalAddrUsed, m.MaxLocalAddrUsed, m.Checksum = f.u8(), f.u8(), f.u8() != 0
	return m
}

package link

import "encoding/binary"

// Counters count since the interface was made (struct rtnl_link_stats64,
// linux/if_link.h, which tells what each one is; drivers differ in care). Packets
// and frames, but for the two that are bytes.
type Counters struct {
	RxPackets         uint64 `json:"rx_packets"`
	TxPackets         uint64 `json:"tx_packets"`
	RxBytes           uint64 `json:"rx_bytes"`
	TxBytes           uint64 `json:"tx_bytes"`
	RxErrors          uint64 `json:"rx_errors"`
	TxErrors          uint64 `json:"tx_errors"`
	RxDropped         uint64 `json:"rx_dropped"` // good, but there was no room or no wish for it
	TxDropped         uint64 `json:"tx_dropped"`
	Multicast         uint64 `json:"multicast"` // received
	Collisions        uint64 `json:"collisions"`
	RxLengthErrors    uint64 `json:"rx_length_errors"`
	RxOverErrors      uint64 `json:"rx_over_errors"`
	RxCRCErrors       uint64 `json:"rx_crc_errors"`
	RxFrameErrors     uint64 `json:"rx_frame_errors"`
	RxFIFOErrors      uint64 `json:"rx_fifo_errors"`
	RxMissedErrors    uint64 `json:"rx_missed_errors"` // the host had no room for it
	TxAbortedErrors   uint64 `json:"tx_aborted_errors"`
	TxCarrierErrors   uint64 `json:"tx_carrier_errors"`
	TxFIFOErrors      uint64 `json:"tx_fifo_errors"`
	TxHeartbeatErrors uint64 `json:"tx_heartbeat_errors"`
	TxWindowErrors    uint64 `json:"tx_window_errors"`
	RxCompressed      uint64 `json:"rx_compressed"`
	TxCompressed      uint64 `json:"tx_compressed"`
	RxNoHandler       uint64 `json:"rx_nohandler"`         // nobody speaks its protocol, or the port is not the active one
	RxOtherHost       uint64 `json:"rx_otherhost_dropped"` // for another hardware address
	// More are counters that a newer kernel has appended.
	More []uint64 `json:"more,omitzero"`
}

// counters reads as many counters as there are: the structure grows.
func counters(b []byte) Counters {
	var c Counters
	for _, p := range []*uint64{
		&c.RxPackets, &c.TxPackets, &c.RxBytes, &c.TxBytes, &c.RxErrors, &c.TxErrors, &c.RxDropped, &c.TxDropped,
		&c.Multicast, &c.Collisions, &c.RxLengthErrors, &c.RxOverErrors, &c.RxCRCErrors, &c.RxFrameErrors,
		&c.RxFIFOErrors, &c.RxMissedErrors, &c.TxAbortedErrors, &c.TxCarrierErrors, &c.TxFIFOErrors,
		&c.TxHeartbeatErrors, &c.TxWindowErrors, &c.RxCompressed, &c.TxCompressed, &c.RxNoHandler, &c.RxOtherHost,
	} {
		if len(b) < 8 {
			return c
		}
		*p, b = binary.NativeEndian.Uint64(b), b[8:]
	}
	c.More = words64(b)
	return c
}

// words64 reads a run of u64, nil for none.
func words64(b []byte) []uint64 {
	var v []uint64
	for ; len(b) >= 8; b = b[8:] {
		v = append(v, binary.NativeEndian.Uint64(b))
	}
	return v
}

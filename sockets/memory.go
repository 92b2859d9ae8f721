package sockets

// Memory is what a socket takes of the kernel's memory, in bytes
// (SK_MEMINFO_* of linux/sock_diag.h).
type Memory struct {
	RecvAlloc  uint32 `json:"rmem_alloc"`  // held by what came and was not read
	RecvBuffer uint32 `json:"rcvbuf"`      // the limit of it
	SendAlloc  uint32 `json:"wmem_alloc"`  // held by what the interface has not sent yet
	SendBuffer uint32 `json:"sndbuf"`      // the limit of SendQueued
	Forward    uint32 `json:"fwd_alloc"`   // reserved and free
	SendQueued uint32 `json:"wmem_queued"` // held by what was written and is not acknowledged
	Options    uint32 `json:"optmem"`      // held by socket options, such as filters
	Backlog    uint32 `json:"backlog"`     // held by what came while the socket was busy
	Drops      uint32 `json:"drops"`       // packets that were thrown away, since the socket was opened
}

func parseMemory(b []byte) *Memory {
	f := &fields{b: b}
	return &Memory{f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u32()}
}

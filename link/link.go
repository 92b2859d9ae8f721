// Package link inspects network interfaces: what `ip -d -s addr` and ifconfig
// show, as the kernel tells it over rtnetlink(7).
//
// [List] and [Get] ask the kernel. An [Inspector] is a source of interfaces:
// [Netlink] is this machine, [Recorded] a list that was saved as JSON before.
// [Watch] tells of changes. Reading needs no privilege; [Set], [AddAddress] and
// [DeleteAddress], which alone change anything, need CAP_NET_ADMIN. Words are the kernel's (linux/if.h,
// linux/if_link.h, linux/if_addr.h); attributes that the library has no field for
// are kept as [Attribute], so that a newer kernel loses nothing.
//
// What a driver tells (ethtool(8), mii-tool(8)) is asked with [Ethtool], or through a
// [Device] question by question: speed and link modes, wake-on-LAN, offloads,
// counters, modules, MII registers. All of it is open to everybody but [Device.WakeOnLAN],
// [Device.Module] and the registers of [Device.MII]. [Findings] compares two samples of an
// interface and says what is wrong with its cable, its partner or its module.
//
// Talking to the kernel needs Linux; the types, [Recorded] and the text forms
// work everywhere.
package link

import (
	"context"
	"slices"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// OpError is the error type of this package: the operation, the interface it
// was about, and the cause. It unwraps to an errno of the kernel,
// [os.ErrNotExist] for an interface that is not there, [os.ErrPermission] or
// [errors.ErrUnsupported].
type OpError = operr.Error

// ErrInterrupted says that interfaces or addresses were changing each time they
// were read, so that the list that came with it may miss entries or mix old and
// new. It comes with data, wrapped in an [OpError].
var ErrInterrupted = nl.ErrInterrupted

// Inspector is a source of network interfaces.
type Inspector interface {
	// Inspect returns the interfaces in the order of the source.
	Inspect(ctx context.Context) ([]Link, error)
}

// Netlink is the Inspector that asks the kernel.
type Netlink struct {
	NetNS int // descriptor of a network namespace; 0: that of the calling thread
}

// Inspect is List.
func (n Netlink) Inspect(ctx context.Context) ([]Link, error) {
	return List(ctx, &Options{NetNS: n.NetNS})
}

// Recorded is the Inspector of interfaces seen earlier or elsewhere. It
// marshals to JSON and back.
type Recorded []Link

// Inspect returns the recorded interfaces.
func (r Recorded) Inspect(ctx context.Context) ([]Link, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return slices.Clone(r), nil
}

// Options say where to look. Nil is the defaults.
type Options struct {
	// NetNS is a descriptor of a network namespace; 0: that of the calling
	// thread. Entering another one needs CAP_SYS_ADMIN.
	NetNS int
	// VFs asks for the virtual functions of SR-IOV cards (NumVF, VFs). They are
	// not asked for otherwise, because many of them make long answers.
	VFs bool
}

// List returns every interface with its addresses and counters, in the order of
// the kernel, which is by index. The two tables behind it are read one after the
// other, and again when the kernel says that one changed meanwhile; should they
// never stand still, the last reading comes with [ErrInterrupted].
func List(ctx context.Context, o *Options) ([]Link, error) { return list(ctx, o) }

// Get returns the interface of that name, which may be an alternative name
// (`ip link property`). An interface that is not there is [os.ErrNotExist].
func Get(ctx context.Context, name string, o *Options) (Link, error) { return get(ctx, name, o) }

// Link is a network interface. A field that the kernel did not tell is zero.
type Link struct {
	Index     int          `json:"ifindex"`
	Name      string       `json:"ifname"`
	AltNames  []string     `json:"altnames,omitzero"`
	Alias     string       `json:"ifalias,omitzero"`         // a description set by the administrator
	Type      HardwareType `json:"link_type"`                // ARPHRD_*
	Kind      string       `json:"info_kind,omitzero"`       // "veth", "bridge", "tun" …; empty for hardware
	SlaveKind string       `json:"info_slave_kind,omitzero"` // kind of the master
	Flags     Flags        `json:"flags"`

	OperState       OperState `json:"operstate"`         // RFC 2863; drivers that do not care say unknown
	LinkMode        LinkMode  `json:"linkmode,omitzero"` // what OperState becomes when the carrier comes
	Carrier         Carrier   `json:"carrier"`
	CarrierChanges  uint32    `json:"carrier_changes"` // since the interface was made
	CarrierUps      uint32    `json:"carrier_up_count"`
	CarrierDowns    uint32    `json:"carrier_down_count"`
	ProtoDown       bool      `json:"proto_down,omitzero"`        // held down by a protocol, such as MLAG
	ProtoDownReason uint32    `json:"proto_down_reason,omitzero"` // a bit a reason, see /etc/iproute2/protodown_reasons.d

	MTU    int `json:"mtu"`              // bytes
	MinMTU int `json:"min_mtu,omitzero"` // bytes; 0: no bound is told
	MaxMTU int `json:"max_mtu,omitzero"` // bytes; 0: no bound is told

	HardwareAddr HardwareAddr `json:"address,omitzero"`   // of a tunnel, its local address
	Broadcast    HardwareAddr `json:"broadcast,omitzero"` // of a tunnel, its remote address
	PermAddr     HardwareAddr `json:"permaddr,omitzero"`  // burnt in; empty where there is none

	Master    int  `json:"master,omitzero"`       // index of the bridge, bond, VRF or team it is a port of
	LinkIndex int  `json:"link_index,omitzero"`   // the peer of a veth, the interface below a VLAN or tunnel
	LinkNetNS *int `json:"link_netnsid,omitzero"` // namespace of LinkIndex as this one numbers it; nil: this one

	Group       uint32 `json:"group"`
	Qdisc       string `json:"qdisc,omitzero"` // queueing discipline at the root
	TxQueueLen  int    `json:"txqlen"`         // packets
	TxQueues    int    `json:"num_tx_queues,omitzero"`
	RxQueues    int    `json:"num_rx_queues,omitzero"`
	Promiscuity uint32 `json:"promiscuity"` // how many users want every frame; Flags tells only the administrator's
	AllMulti    uint32 `json:"allmulti"`    // how many users want every multicast frame

	Offload Offload `json:"offload"`

	NumVF        int    `json:"num_vf,omitzero"` // virtual functions; only with Options.VFs
	VFs          []VF   `json:"vfinfo_list,omitzero"`
	PhysPortID   Hex    `json:"phys_port_id,omitzero"`
	PhysPortName string `json:"phys_port_name,omitzero"`
	PhysSwitchID Hex    `json:"phys_switch_id,omitzero"`
	ParentBus    string `json:"parentbus,omitzero"` // "pci", "usb" …
	ParentDev    string `json:"parentdev,omitzero"` // where on that bus: "0000:00:1f.6"
	Map          *Map   `json:"map,omitzero"`       // nil where it is all zero
	XDP          *XDP   `json:"xdp,omitzero"`

	NetNSImmutable bool `json:"netns_immutable,omitzero"` // cannot be moved to another namespace (Linux 6.14)

	Counters  Counters  `json:"stats64"`
	Addresses []Address `json:"addr_info,omitzero"` // IPv4 first, in the order of the kernel
	IPv4      *IPv4     `json:"inet,omitzero"`
	IPv6      *IPv6     `json:"inet6,omitzero"`
	// Families are what other address families keep, by AF_*.
	Families []Attribute `json:"af_spec,omitzero"`
	Details              // by kind

	Unknown []Attribute `json:"unknown,omitzero"` // IFLA_* that this library has no field for
}

// AdminUp reports whether the administrator has set the interface up.
func (l Link) AdminUp() bool { return l.Flags&FlagUp != 0 }

// Loopback reports whether it is the loopback interface.
func (l Link) Loopback() bool { return l.Flags&FlagLoopback != 0 }

// Attribute is a netlink attribute that was kept as it came: its type, with
// the two flag bits removed, and its payload in host byte order.
type Attribute = nl.Attribute

// Hex is bytes whose text form is hexadecimal.
type Hex = nl.Hex

// HardwareAddr is a link-layer address of any length, in text colon-separated
// hexadecimal ("02:00:5e:10:00:01"), empty for none.
type HardwareAddr = nl.HardwareAddr

// Offload is how large the packets may be that are cut in hardware or late, and
// the room around them that the driver wants.
type Offload struct {
	GSOMaxSize     uint32 `json:"gso_max_size,omitzero"`      // bytes
	GSOMaxSegs     uint32 `json:"gso_max_segs,omitzero"`      // segments
	GSOIPv4MaxSize uint32 `json:"gso_ipv4_max_size,omitzero"` // bytes
	GROMaxSize     uint32 `json:"gro_max_size,omitzero"`      // bytes
	GROIPv4MaxSize uint32 `json:"gro_ipv4_max_size,omitzero"` // bytes
	TSOMaxSize     uint32 `json:"tso_max_size,omitzero"`      // bytes
	TSOMaxSegs     uint32 `json:"tso_max_segs,omitzero"`      // segments
	// PacingHorizon is how far ahead the card can time packets (Linux 6.13).
	PacingHorizon uint64 `json:"max_pacing_offload_horizon,omitzero"` // ns
	Headroom      uint16 `json:"headroom,omitzero"`                   // bytes (Linux 6.15)
	Tailroom      uint16 `json:"tailroom,omitzero"`                   // bytes (Linux 6.15)
}

// Map is where old hardware sits in memory (struct rtnl_link_ifmap).
type Map struct {
	MemStart uint64 `json:"mem_start"`
	MemEnd   uint64 `json:"mem_end"`
	BaseAddr uint64 `json:"base_addr"`
	IRQ      uint16 `json:"irq"`
	DMA      uint8  `json:"dma"`
	Port     uint8  `json:"port"`
}

// XDP is the express data path: a program that sees frames before the stack.
type XDP struct {
	Mode    XDPMode     `json:"mode"`
	ProgID  uint32      `json:"prog_id,omitzero"` // of the one program
	DrvID   uint32      `json:"drv_prog_id,omitzero"`
	SkbID   uint32      `json:"skb_prog_id,omitzero"`
	HWID    uint32      `json:"hw_prog_id,omitzero"`
	Unknown []Attribute `json:"unknown,omitzero"`
}

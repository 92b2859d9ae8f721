package link

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"syscall"

	"github.com/netsonde/netsonde/internal/nic"
	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// Device is an interface as ethtool(8) sees it: what its driver tells of the
// port, the cable and the card. Each method is one question and has its own
// error: [errors.ErrUnsupported] when the driver does not answer it,
// [os.ErrNotExist] when the interface is gone, [os.ErrPermission] when the kernel
// tells it only to somebody with more rights.
//
// Questions are asked over generic netlink (linux/ethtool_netlink.h, Linux 5.6),
// one by one over ioctl(2) (SIOCETHTOOL, linux/ethtool.h) where the kernel has no
// message for them. Words, such as those of link modes, are the kernel's own
// string sets, so that a newer kernel's are known too.
//
// A Device is for one goroutine at a time, and of no more use when the context of a
// question ended before the answer came.
type Device struct {
	Index int    // of the interface
	Name  string // its name, also when it was opened by an alternative one
	Kind  string // "veth", "tun" …; empty for hardware

	virtual  bool
	permAddr HardwareAddr
	kernel   nic.Driver
	ops      map[uint8]bool // messages that the kernel's ethtool family has; nil: no family
	names    map[uint32][]string
}

// OpenDevice opens an interface by its name, which may be an alternative one.
func OpenDevice(ctx context.Context, name string, o *Options) (*Device, error) {
	d, err := openDevice(ctx, name, o)
	if err != nil {
		return nil, operr.New("link: open", name, err)
	}
	return d, nil
}

// Close releases the sockets.
func (d *Device) Close() error { return d.kernel.Close() }

// PermAddr returns the address that is burnt into the card, empty for none.
func (d *Device) PermAddr() HardwareAddr { return d.permAddr }

// Virtual reports whether the interface is made of software, so that its speed
// and duplex mode are made up: a veth pair, a tun device, a bridge, a tunnel, a
// bond, the loopback, a paravirtual card. What lies on top of another interface,
// as a VLAN does, is as virtual as that one. A card that a hypervisor emulates
// down to the registers cannot be told from a real one.
func (d *Device) Virtual() bool { return d.virtual }

// Section names a part of what a driver tells.
type Section uint8

// The sections. In brackets what asks for it in ethtool(8).
const (
	SectionNone         Section = iota
	SectionLinkModes            // speed, duplex mode, what is supported and advertised
	SectionLinkInfo             // port, transceiver, MDI-X
	SectionLinkState            // link detected
	SectionWakeOnLAN            //
	SectionMessages             // message level
	SectionDriver               // [-i]
	SectionStats                // [-S]
	SectionStandard             // [-S --all-groups]
	SectionFeatures             // [-k]
	SectionRings                // [-g]
	SectionChannels             // [-l]
	SectionCoalesce             // [-c]
	SectionPause                // [-a]
	SectionFEC                  // [--show-fec]
	SectionEEE                  // [--show-eee]
	SectionTimestamping         // [-T]
	SectionPrivateFlags         // [--show-priv-flags]
	SectionModule               // [-m]
	SectionMII                  // mii-tool(8)
	SectionRSS                  // [-x]
)

// Ethtool asks a driver everything that is cheap to tell, which leaves out the
// module's memory and the MII registers. It fails only when there is no such
// interface or ctx ends; what else fails is in Errors.
func Ethtool(ctx context.Context, name string, o *Options) (EthtoolReport, error) {
	d, err := OpenDevice(ctx, name, o)
	if err != nil {
		return EthtoolReport{}, err
	}
	defer d.Close()
	return d.Report(ctx)
}

// EthtoolReport is what a driver tells about its interface. Nil is a section
// that could not be had; Errors says why.
type EthtoolReport struct {
	Settings
	PermAddr     HardwareAddr  `json:"permaddr,omitzero"` // burnt in; empty for none
	Driver       *DriverInfo   `json:"driver,omitzero"`
	Features     []Feature     `json:"features,omitzero"`
	Rings        *Rings        `json:"rings,omitzero"`
	RSS          *RSS          `json:"rss,omitzero"`
	Channels     *Channels     `json:"channels,omitzero"`
	Coalesce     *Coalesce     `json:"coalesce,omitzero"`
	Pause        *Pause        `json:"pause,omitzero"`
	FEC          *FEC          `json:"fec,omitzero"`
	EEE          *EEE          `json:"eee,omitzero"`
	Timestamping *Timestamping `json:"timestamping,omitzero"`
	PrivateFlags []PrivateFlag `json:"private_flags,omitzero"`
	Module       *Module       `json:"module,omitzero"`       // only where it was asked for
	DriverStats  []Stat        `json:"driver_stats,omitzero"` // in the order of the driver
	Standard     []StatGroup   `json:"standard_stats,omitzero"`
}

// Report is what [Ethtool] returns.
func (d *Device) Report(ctx context.Context) (EthtoolReport, error) {
	r := EthtoolReport{PermAddr: d.permAddr}
	var err error
	if r.Settings, err = d.Settings(ctx); err != nil {
		return r, err
	}
	c := collector{ctx: ctx, errs: &r.Errors}
	collect(&c, SectionDriver, &r.Driver, d.Driver)
	collect(&c, SectionRings, &r.Rings, d.Rings)
	collect(&c, SectionChannels, &r.Channels, d.Channels)
	collect(&c, SectionRSS, &r.RSS, d.RSS)
	collect(&c, SectionCoalesce, &r.Coalesce, d.Coalesce)
	collect(&c, SectionPause, &r.Pause, d.Pause)
	collect(&c, SectionFEC, &r.FEC, d.FEC)
	collect(&c, SectionEEE, &r.EEE, d.EEE)
	collect(&c, SectionTimestamping, &r.Timestamping, d.Timestamping)
	r.Features, err = d.Features(ctx)
	c.add(SectionFeatures, err)
	r.PrivateFlags, err = d.PrivateFlags(ctx)
	c.add(SectionPrivateFlags, err)
	r.DriverStats, err = d.DriverStats(ctx)
	c.add(SectionStats, err)
	r.Standard, err = d.StandardStats(ctx)
	c.add(SectionStandard, err)
	return r, c.end(d.Name)
}

// Settings asks what `ethtool IF` shows. It fails only when the interface is
// gone or ctx ends; a refused section is in Errors and hides no other.
func (d *Device) Settings(ctx context.Context) (Settings, error) {
	s := Settings{Index: d.Index, Name: d.Name}
	c := collector{ctx: ctx, errs: &s.Errors}
	collect(&c, SectionLinkModes, &s.Modes, d.LinkModes)
	collect(&c, SectionLinkInfo, &s.Info, d.LinkInfo)
	collect(&c, SectionWakeOnLAN, &s.Wake, d.WakeOnLAN)
	collect(&c, SectionMessages, &s.Messages, d.MessageLevel)
	collect(&c, SectionLinkState, &s.State, d.LinkState)
	return s, c.end(d.Name)
}

// collector gathers sections and their errors.
type collector struct {
	ctx   context.Context
	errs  *Errors
	fatal error
}

func collect[T any](c *collector, s Section, to **T, ask func(context.Context) (T, error)) {
	if c.fatal != nil {
		return
	}
	v, err := ask(c.ctx)
	if err == nil {
		*to = &v
	}
	c.add(s, err)
}

func (c *collector) add(s Section, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, syscall.ENODEV) && c.fatal == nil {
		c.fatal = absent{syscall.ENODEV}
	}
	// The operation and the name of the interface are said by the section.
	if e, ok := errors.AsType[*OpError](err); ok {
		err = e.Err
	}
	*c.errs = append(*c.errs, SectionError{s, err})
}

func (c *collector) end(name string) error {
	if c.ctx.Err() != nil {
		return operr.New("link: ethtool", name, context.Cause(c.ctx))
	}
	return operr.New("link: ethtool", name, c.fatal)
}

// Errors are the sections that could not be had.
type Errors []SectionError

// Of returns the error of a section, nil for none.
func (e Errors) Of(s Section) error {
	if i := slices.IndexFunc(e, func(e SectionError) bool { return e.Section == s }); i >= 0 {
		return e[i].Err
	}
	return nil
}

// SectionError says why a section could not be had. In JSON it keeps the errno
// (Linux) and the kernel's words, so that [errors.Is] works on what was recorded.
type SectionError struct {
	Section Section
	Err     error
}

// Error returns "section: cause".
func (e SectionError) Error() string { return e.Section.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e SectionError) Unwrap() error { return e.Err }

type sectionErrorJSON struct {
	Section Section       `json:"section"`
	Error   string        `json:"error"`
	Errno   syscall.Errno `json:"errno,omitzero"`
	Message string        `json:"message,omitzero"` // the kernel's words
	Offset  uint32        `json:"offset,omitzero"`
	Need    string        `json:"needs,omitzero"`
}

// MarshalJSON implements [json.Marshaler].
func (e SectionError) MarshalJSON() ([]byte, error) {
	j := sectionErrorJSON{Section: e.Section, Error: e.Err.Error(), Need: operr.NeedOf(e.Err)}
	if errno, ok := errors.AsType[syscall.Errno](e.Err); ok {
		j.Errno = errno
	}
	if k, ok := errors.AsType[*nl.KernelError](e.Err); ok {
		j.Message, j.Offset = k.Message, k.Offset
	}
	return json.Marshal(j)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (e *SectionError) UnmarshalJSON(b []byte) error {
	var j sectionErrorJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	e.Section, e.Err = j.Section, errors.New(j.Error)
	if j.Errno != 0 {
		e.Err = j.Errno
		if j.Message != "" {
			e.Err = &nl.KernelError{Errno: j.Errno, Message: j.Message, Offset: j.Offset}
		}
	}
	if j.Need != "" {
		e.Err = operr.Need(e.Err, j.Need)
	}
	return nil
}

// KernelMessage returns what the kernel said beside an errno, and where in the
// request the cause is (0: not told). "" is nothing.
func KernelMessage(err error) (message string, offset uint32) {
	if k, ok := errors.AsType[*nl.KernelError](err); ok {
		return k.Message, k.Offset
	}
	return "", 0
}

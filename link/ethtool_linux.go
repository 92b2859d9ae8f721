package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nic"
	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/sock"
)

func openDevice(ctx context.Context, name string, o *Options) (*Device, error) {
	c, err := nl.Dial(o.config())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	l, err := getLink(ctx, c, name, 0)
	if err != nil {
		return nil, err
	}
	d := &Device{Index: l.Index, Name: l.Name, Kind: l.Kind, permAddr: l.PermAddr}
	if d.virtual, err = isVirtual(ctx, c, l); err != nil {
		return nil, err
	}
	if d.kernel = nic.From(ctx); d.kernel == nil {
		if d.kernel, err = newSystem(o, l.Index); err != nil {
			return nil, err
		}
	}
	if d.ops, err = d.kernel.Family(ctx); err != nil && !errors.Is(err, unix.ENOENT) {
		d.kernel.Close()
		return nil, err
	}
	return d, nil
}

// getLink asks for one interface, by name or, when that is empty, by index,
// without its addresses.
func getLink(ctx context.Context, c *nl.Conn, name string, index int) (l Link, err error) {
	body := make([]byte, unix.SizeofIfInfomsg)
	switch {
	case name == "" && index == 0, len(name) > maxAltName:
		return l, absent{unix.ENODEV}
	case name == "":
		binary.NativeEndian.PutUint32(body[4:], uint32(index))
	case len(name) >= unix.IFNAMSIZ:
		body = nl.AppendText(body, unix.IFLA_ALT_IFNAME, name)
	default:
		body = nl.AppendText(body, unix.IFLA_IFNAME, name)
	}
	body = nl.AppendU32(body, unix.IFLA_EXT_MASK, filterSkipStats)
	err = c.Request(ctx, nl.Message{Type: unix.RTM_GETLINK, Body: body}, func(_ uint16, b []byte) (err error) {
		l, err = parseLink(b)
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		err = absent{err}
	}
	return l, err
}

// isVirtual follows an interface that lies on another one down to the ground.
func isVirtual(ctx context.Context, c *nl.Conn, l Link) (bool, error) {
	for range 8 { // the kernel's own limit of nesting
		virtual, below := virtualKind(l)
		if !below || l.LinkNetNS != nil || l.LinkIndex == 0 {
			return virtual, nil
		}
		next, err := getLink(ctx, c, "", l.LinkIndex)
		if errors.Is(err, unix.ENODEV) {
			return virtual, nil
		} else if err != nil {
			return false, err
		}
		l = next
	}
	return true, nil
}

// system is the kernel.
type system struct {
	conn  *nl.Conn // to the ethtool family
	id    uint16   // of the family
	fd    int
	index int // of the interface
}

func newSystem(o *Options, index int) (nic.Driver, error) {
	cfg := o.config()
	cfg.Family = unix.NETLINK_GENERIC
	conn, err := nl.Dial(cfg)
	if err != nil {
		return nil, err
	}
	s := &system{conn: conn, index: index}
	err = sock.InNamespace(cfg.NetNS, func() (err error) {
		s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if errors.Is(err, unix.EAFNOSUPPORT) { // a kernel without IPv4
			s.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		}
		return err
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open socket: %w", err)
	}
	return s, nil
}

func (s *system) Close() error {
	return errors.Join(s.conn.Close(), unix.Close(s.fd))
}

// genlHeader is struct genlmsghdr.
func genlHeader(cmd uint8) []byte { return []byte{cmd, 1, 0, 0} }

// Family finds the ethtool family and the messages that it has. A kernel without
// it says ENOENT.
func (s *system) Family(ctx context.Context) (ops map[uint8]bool, err error) {
	body := nl.AppendText(genlHeader(unix.CTRL_CMD_GETFAMILY), unix.CTRL_ATTR_FAMILY_NAME, "ethtool")
	err = s.conn.Request(ctx, nl.Message{Type: unix.GENL_ID_CTRL, Body: body}, func(_ uint16, b []byte) error {
		if len(b) < unix.GENL_HDRLEN {
			return nl.ErrMalformed
		}
		s.id, ops = parseFamily(b[unix.GENL_HDRLEN:])
		return nil
	})
	return ops, err
}

func (s *system) Generic(ctx context.Context, cmd uint8, body []byte, fn func([]byte) error) error {
	m := nl.Message{Type: s.id, Body: append(genlHeader(cmd), body...)}
	return s.conn.Request(ctx, m, func(_ uint16, b []byte) error {
		if len(b) < unix.GENL_HDRLEN {
			return nl.ErrMalformed
		}
		return fn(b[unix.GENL_HDRLEN:])
	})
}

// IOCtl is SIOCETHTOOL.
func (s *system) IOCtl(data []byte) error {
	r := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24]byte // struct ifreq is as long as its longest member
	}{data: unsafe.Pointer(unsafe.SliceData(data))}
	var err error
	if r.name, err = s.name(); err != nil {
		return err
	}
	return s.control(unix.SIOCETHTOOL, unsafe.Pointer(&r))
}

// MII is SIOCGMIIPHY, or SIOCGMIIREG for a register.
func (s *system) MII(register bool, data *nic.MIIData) error {
	r := struct {
		name [unix.IFNAMSIZ]byte
		data nic.MIIData
		_    [24]byte
	}{data: *data}
	var err error
	if r.name, err = s.name(); err != nil {
		return err
	}
	var command uint = unix.SIOCGMIIPHY
	if register {
		command = unix.SIOCGMIIREG
	}
	err = s.control(command, unsafe.Pointer(&r))
	*data = r.data
	return err
}

// name asks for the name that the interface has by now: these calls go by name,
// and another interface may have taken the old one.
func (s *system) name() ([unix.IFNAMSIZ]byte, error) {
	r := struct {
		name  [unix.IFNAMSIZ]byte
		index int32
		_     [24]byte
	}{index: int32(s.index)}
	err := s.control(unix.SIOCGIFNAME, unsafe.Pointer(&r))
	return r.name, err
}

// control is ioctl(2).
func (s *system) control(command uint, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), uintptr(command), uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

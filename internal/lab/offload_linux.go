package lab

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of linux/ethtool.h that switch a feature by a number.
const (
	ethtoolRxChecksum = 0x15
	ethtoolTxChecksum = 0x17
	ethtoolScatter    = 0x19
	ethtoolTSO        = 0x1f
	ethtoolGSO        = 0x24
	ethtoolGRO        = 0x2c
)

// disableOffload makes an interface of the calling thread's namespace send
// whole frames with complete checksums, and check those it receives.
func disableOffload(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, command := range []uint32{
		ethtoolTSO, ethtoolGSO, ethtoolGRO, ethtoolTxChecksum, ethtoolRxChecksum, ethtoolScatter,
	} {
		if err := ethtool(fd, name, command, 0); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	return nil
}

// ethtool sends one command with a number, as SIOCETHTOOL of netdevice(7).
func ethtool(fd int, name string, command, value uint32) error {
	data := struct{ command, value uint32 }{command, value}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the kernel's structure is longer
	}{data: unsafe.Pointer(&data)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

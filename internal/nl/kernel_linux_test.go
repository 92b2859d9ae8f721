package nl

import (
	"errors"
	"syscall"
	"testing"
)

func TestKernelLinks(t *testing.T) {
	var names []string
	err := Dump(t.Context(), Config{}, Message{Type: syscall.RTM_GETLINK, Body: make([]byte, syscall.SizeofIfInfomsg)},
		func(typ uint16, body []byte) error {
			if typ != syscall.RTM_NEWLINK {
				t.Errorf("got message type %d", typ)
			}
			for a := NewAttrs(body[syscall.SizeofIfInfomsg:]); a.Next(); {
				if a.Type == syscall.IFLA_IFNAME {
					names = append(names, Text(a.Data))
				}
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 || names[0] != "lo" {
		t.Errorf("got links %q, want lo first", names)
	}
}

func TestKernelExtendedAck(t *testing.T) {
	// A strict dump refuses header fields that it has no use for, and says so.
	body := make([]byte, syscall.SizeofIfInfomsg)
	body[2] = 1 // ifi_type
	err := Dump(t.Context(), Config{}, Message{Type: syscall.RTM_GETLINK, Body: body},
		func(uint16, []byte) error { return nil })
	k, ok := errors.AsType[*KernelError](err)
	if !ok || k.Errno != syscall.EINVAL || k.Message == "" {
		t.Errorf("got %v, want EINVAL with the kernel's words", err)
	}
}

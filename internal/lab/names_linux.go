package lab

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"
)

// nameGuard is how long a tool may run. One that waits for a name would need
// more, for the resolver tries again and again.
const (
	nameGuard    = 25 * time.Second
	namePatience = "timeout:30 attempts:3"
)

// SilentDNS gives the host a name server that never answers, and returns how
// many queries it has got.
func (h *Host) SilentDNS() *atomic.Int64 {
	h.lab.t.Helper()
	var n atomic.Int64
	h.ServeDNS("127.0.0.1:53", func(DNSQuery) DNSReply {
		n.Add(1)
		return DNSReply{Drop: true}
	})
	h.ResolvConf("nameserver 127.0.0.1\noptions " + namePatience + "\n")
	return &n
}

// CheckNames tests that a tool, registered by [Child], never waits for the name
// of an address, in a host whose only name server never answers. The numeric
// command lines must not ask it; the named ones must, and end nevertheless. It
// returns what the latter printed.
func (h *Host) CheckNames(tool string, numeric, named []string) (printed []string) {
	h.lab.t.Helper()
	queries := h.SilentDNS()
	for _, line := range numeric {
		if out, ok := h.runGuarded(tool, line); !ok {
			h.lab.t.Errorf("%s %s: still running:\n%s", tool, line, out)
		}
		if n := queries.Swap(0); n > 0 {
			h.lab.t.Errorf("%s %s: %d queries for names", tool, line, n)
		}
	}
	for _, line := range named {
		out, ok := h.runGuarded(tool, line)
		if !ok {
			h.lab.t.Errorf("%s %s: waits for a name server that does not answer:\n%s", tool, line, out)
		}
		if queries.Swap(0) == 0 {
			h.lab.t.Errorf("%s %s: asked for no name, so this shows nothing:\n%s", tool, line, out)
		}
		printed = append(printed, out)
	}
	return printed
}

// runGuarded runs a tool and reports whether it ended by itself.
func (h *Host) runGuarded(tool, line string) (out string, ended bool) {
	h.lab.t.Helper()
	cmd := h.ChildCommand(tool, false, strings.Fields(line)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		h.lab.t.Fatal(err)
	}
	killer := time.AfterFunc(nameGuard, func() { cmd.Process.Kill() })
	cmd.Wait()
	return stdout.String() + stderr.String(), killer.Stop()
}

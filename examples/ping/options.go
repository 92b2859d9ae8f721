package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/netsonde/netsonde/ping"
)

// prespecify notes whose IP timestamps are wanted.
func (s *settings) prespecify(hosts []string) error {
	for _, host := range hosts {
		a, err := netip.ParseAddr(host)
		if err != nil {
			return fmt.Errorf("-T tsprespec: %q is not an address", host)
		}
		s.opt.IPTimestampHops = append(s.opt.IPTimestampHops, a)
	}
	return nil
}

// open opens the engine; what is wrong with -I is said with what it was.
func (s *settings) open() (*ping.Engine, error) {
	engine, err := ping.Open(&s.opt)
	if op, ok := errors.AsType[*ping.OpError](err); ok && *s.device != "" && !errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("-I %s: %w", *s.device, op.Err)
	}
	return engine, err
}

// options turns the words of the command line into the library's settings.
func (s *settings) options(sweeping bool) (err error) {
	if s.opt.Size == 0 {
		s.opt.Size = -1
	}
	if s.opt.Timeout = *s.timeout; s.opt.Timeout == 0 && !sweeping {
		s.opt.Timeout = 10 * time.Second
	}
	if s.opt.Pattern, err = hex.DecodeString(*s.pattern); err != nil {
		return fmt.Errorf("-p: %w", err)
	}
	tos, err := strconv.ParseUint(*s.tos, 0, 8)
	if err != nil {
		return fmt.Errorf("-Q: cannot use %q as a byte", *s.tos)
	}
	s.opt.TOS = int(tos)
	if *s.fragment != "" {
		if err := s.opt.Fragment.UnmarshalText([]byte(*s.fragment)); err != nil {
			return fmt.Errorf("-M: %w", err)
		}
	}
	if *s.ipTime != "" {
		if err := s.opt.IPTimestamp.UnmarshalText([]byte(*s.ipTime)); err != nil {
			return fmt.Errorf("-T: %w", err)
		}
	}
	if s.opt.Source, err = netip.ParseAddr(*s.device); err != nil {
		s.opt.Source, s.opt.Device = netip.Addr{}, *s.device
	}
	if *s.count < 0 || *s.retries < 0 || *s.interval < 0 || *s.timeout < 0 || *s.deadline < 0 || s.opt.TTL < 0 || s.opt.Size < -1 {
		return fmt.Errorf("a number is less than nothing")
	}
	return nil
}

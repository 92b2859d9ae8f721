package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/route"
)

// refusedByKernel is route's exit code for a change that was refused.
const refusedByKernel = 7

// change adds or deletes what the words say.
func (o *options) change(ctx context.Context, words []string) int {
	verb := words[0]
	switch verb {
	case "add", "del", "delete":
	case "flush":
		return o.Usage("flushing a table is not supported; ip route flush does it")
	default:
		return o.Usage("what is %q?", verb)
	}
	r, err := o.readRoute(words[1:])
	if err != nil {
		return o.Usage("%v", err)
	}
	call := "SIOCADDRT"
	if verb == "add" {
		err = route.Prepend(ctx, r, nil)
	} else {
		call, r.Metrics = "SIOCDELRT", nil // which do not choose, as with route
		err = route.Delete(ctx, r, nil)
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil:
		return 0
	case !ok:
		o.Error(err)
		return refusedByKernel
	}
	text := errno.Error()
	o.Warn("%s: %s%s", call, strings.ToUpper(text[:1]), text[1:])
	if errors.Is(err, os.ErrPermission) {
		o.Hint("run it as root; it needs CAP_NET_ADMIN")
	}
	return refusedByKernel
}

// target is what comes before the words that have values.
type target struct {
	text, mask string
	net, host  bool
	reject     bool
	metric     *uint32
}

// readRoute reads [-net|-host] TARGET [netmask M] [gw G] [metric N] [mss N]
// [window N] [irtt N] [reject] [[dev] IF].
func (o *options) readRoute(words []string) (r route.Route, err error) {
	var t target
	var m route.Metrics
	for i := 0; i < len(words) && err == nil; i++ {
		value := func() string {
			if i++; i >= len(words) {
				err = fmt.Errorf("%s of what?", words[i-1])
				return ""
			}
			return words[i]
		}
		switch word := words[i]; word {
		case "-net":
			t.net = true
		case "-host":
			t.host = true
		case "-A":
			o.v6 = value() == "inet6"
		case "-4", "-6", "--inet", "--inet6":
			o.v6 = strings.HasSuffix(word, "6")
		case "netmask":
			t.mask = value()
		case "gw", "gateway":
			if text := value(); err == nil {
				if r.Gateway, err = netip.ParseAddr(text); err != nil {
					err = fmt.Errorf("%s: Unknown host", text)
				}
			}
		case "metric", "mss", "window", "irtt":
			if text := value(); err == nil {
				err = setNumber(&t, &m, word, text)
			}
		case "reject":
			t.reject = true
		case "mod", "dyn", "reinstate":
		case "dev", "device":
			r.Device = value()
		default:
			if t.text != "" {
				r.Device = word
			}
			if t.text == "" {
				t.text = word
			}
		}
	}
	if err != nil {
		return r, err
	}
	if m.AdvMSS|m.Window|m.RTT != 0 {
		r.Metrics = &m
	}
	return r, o.finish(&r, t)
}

func setNumber(t *target, m *route.Metrics, word, text string) error {
	v, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return fmt.Errorf("%s: %q is no number", word, text)
	}
	n := uint32(v)
	switch word {
	case "metric":
		t.metric = &n
	case "mss":
		m.AdvMSS = max(n, 40) - 40 // as the kernel takes it from route
	case "window":
		m.Window = n
	case "irtt":
		m.RTT = n * 8
	}
	return nil
}

// finish settles the destination and what follows from it.
func (o *options) finish(r *route.Route, t target) (err error) {
	if t.text == "" {
		return errors.New("a route to where?")
	}
	if o.v6 {
		r.Metric = 1
		r.Dst, err = destination6(t.text)
	} else {
		r.Dst, err = destination4(t)
	}
	if t.metric != nil {
		r.Metric = *t.metric
	}
	if t.reject {
		r.Type, r.Scope = route.TypeUnreachable, route.ScopeHost
		if o.v6 {
			r.Scope = route.ScopeGlobal
		}
	}
	if err == nil && r.Gateway.IsValid() && r.Gateway.Is4() == o.v6 {
		err = fmt.Errorf("%v is a gateway of another family", r.Gateway)
	}
	return err
}

func destination6(text string) (netip.Prefix, error) {
	if text == "default" {
		text = "::/0"
	}
	if !strings.Contains(text, "/") {
		text += "/128"
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is6() {
		return p, fmt.Errorf("%s: Unknown host", text)
	}
	return p.Masked(), nil
}

// destination4 reads a host, or a network with its length.
func destination4(t target) (p netip.Prefix, err error) {
	text, length, slash := strings.Cut(t.text, "/")
	if text == "default" {
		text, length = "0.0.0.0", "0"
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return p, fmt.Errorf("%s: Unknown host", text)
	}
	bits := 32
	switch {
	case t.host:
	case length != "" || slash:
		if bits, err = strconv.Atoi(length); err != nil || bits < 0 || bits > 32 {
			return p, fmt.Errorf("%s: bogus netmask", t.text)
		}
	case t.mask != "":
		mask, err := netip.ParseAddr(t.mask)
		if err != nil || !mask.Is4() {
			return p, fmt.Errorf("%s: bogus netmask", t.mask)
		}
		m := mask.As4()
		var ones int
		if bits, ones = net.IPMask(m[:]).Size(); ones == 0 {
			return p, fmt.Errorf("%s: bogus netmask", t.mask)
		}
	case t.net:
		return p, fmt.Errorf("a network of what length? say -net %s/LENGTH", text)
	}
	if p = netip.PrefixFrom(a, bits); p != p.Masked() {
		return p, errors.New("netmask doesn't match route address")
	}
	return p, nil
}

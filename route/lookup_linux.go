package route

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netsonde/netsonde/internal/nl"
	"github.com/netsonde/netsonde/internal/operr"
)

// asker answers one look-up.
type asker struct {
	*reader
	ask LookupOptions
	dst netip.Addr // without zone
	oif int
}

func lookup(ctx context.Context, dst netip.Addr, o *LookupOptions) (Decision, error) {
	const op = "route: lookup"
	if o == nil {
		o = &LookupOptions{}
	}
	if !dst.IsValid() {
		return Decision{}, operr.New(op, dst, errors.New("no destination"))
	}
	r, err := open(&Options{NetNS: o.NetNS}, listTries)
	if err != nil {
		return Decision{}, operr.New(op, dst, err)
	}
	defer r.close()
	a := &asker{reader: r, ask: *o, dst: dst.Unmap().WithZone("")}
	d, err := a.decide(ctx, dst)
	return d, operr.New(op, dst, err)
}

func (a *asker) decide(ctx context.Context, dst netip.Addr) (Decision, error) {
	if err := a.bind(ctx, dst.Zone()); err != nil {
		return Decision{}, err
	}
	if a.dst.Is6() && a.dst.IsLinkLocalUnicast() && a.oif == 0 {
		return Decision{}, errors.New("a link-local address needs a zone or an interface")
	}
	d := Decision{Dst: zoned(a.dst, a.oif)}
	err := a.send(ctx, &d, a.ask.FIBMatch)
	if a.ask.FIBMatch && errors.Is(err, unix.EHOSTUNREACH) {
		// Also the answer when the packet goes somewhere without a table's help.
		if again := a.send(ctx, &d, false); again == nil {
			err = nil
		}
	}
	if errno, ok := errors.AsType[*nl.KernelError](err); ok {
		return d, a.refused(ctx, &d, errno)
	}
	return d, err
}

// bind finds the interface: a zone, an index or a name, all the same if several
// are given.
func (a *asker) bind(ctx context.Context, zone string) error {
	a.oif = a.ask.OIF
	for _, name := range []string{zone, a.ask.Device} {
		if name == "" {
			continue
		}
		index, err := a.index(ctx, name, name == zone)
		if err != nil {
			return err
		}
		if a.oif != 0 && a.oif != index {
			return fmt.Errorf("zone, OIF and Device name different interfaces: %d and %d", a.oif, index)
		}
		a.oif = index
	}
	return nil
}

func (a *asker) index(ctx context.Context, name string, number bool) (int, error) {
	index, err := a.names.Index(ctx, name)
	if errors.Is(err, unix.ENODEV) {
		if n, perr := strconv.ParseUint(name, 10, 31); number && perr == nil && n > 0 {
			return int(n), nil
		}
		return 0, absent{fmt.Errorf("interface %s: %w", name, err)}
	}
	return index, err
}

// absent is the kernel's word for an interface that is not there, which is not
// the one that os.ErrNotExist knows.
type absent struct{ error }

func (absent) Is(target error) bool { return target == fs.ErrNotExist }
func (a absent) Unwrap() error      { return a.error }

// send sends one RTM_GETROUTE.
func (a *asker) send(ctx context.Context, d *Decision, fibMatch bool) error {
	err := a.c.Request(ctx, nl.Message{Type: unix.RTM_GETROUTE, Body: a.request(fibMatch)}, func(typ uint16, body []byte) error {
		d.Route = Route{}
		return a.p.parse(body, &d.Route)
	})
	if err != nil {
		return err
	}
	if err := a.complete(ctx, &d.Route); err != nil {
		return err
	}
	d.Outcome = outcomeOf(d.Route.Type)
	d.Assumed = d.Route.Family == FamilyIPv4 && d.Route.Type == TypeUnicast && d.Route.Table == 0
	if d.Outcome != OutcomeForward && d.Route.Errno != 0 {
		d.Error = unix.Errno(d.Route.Errno).Error()
	}
	return nil
}

// outcomeOf is for kernels that answer with the route that refuses.
func outcomeOf(t Type) Outcome {
	switch t {
	case TypeBlackhole:
		return OutcomeBlackhole
	case TypeUnreachable:
		return OutcomeUnreachable
	case TypeProhibit:
		return OutcomeProhibit
	case TypeThrow:
		return OutcomeNoRoute
	}
	return OutcomeForward
}

func (a *asker) family() Family {
	if a.dst.Is4() {
		return FamilyIPv4
	}
	return FamilyIPv6
}

// request returns the body of a strict RTM_GETROUTE.
func (a *asker) request(fibMatch bool) []byte {
	b := make([]byte, unix.SizeofRtMsg, 128)
	b[0], b[1], b[3] = byte(a.family()), byte(a.dst.BitLen()), a.ask.TOS
	var flags Flags
	if a.dst.Is4() {
		flags = FlagLookupTable // IPv6 tells the table unasked, and refuses the flag
	}
	if fibMatch {
		flags |= FlagFIBMatch
	}
	binary.NativeEndian.PutUint32(b[8:], uint32(flags))
	b = nl.Append(b, rtaDst, a.dst.AsSlice())
	if src := a.ask.Source.Unmap(); src.IsValid() {
		b[2] = byte(src.BitLen())
		b = nl.Append(b, rtaSrc, src.AsSlice())
	}
	if a.oif != 0 {
		b = nl.AppendU32(b, rtaOIF, uint32(a.oif))
	}
	if a.ask.Mark != 0 {
		b = nl.AppendU32(b, rtaMark, a.ask.Mark)
	}
	if a.ask.UID != nil {
		b = nl.AppendU32(b, rtaUID, *a.ask.UID)
	}
	if a.ask.Proto != 0 {
		b = nl.AppendU8(b, rtaIPProto, a.ask.Proto)
	}
	if a.ask.SPort != 0 {
		b = nl.AppendBE16(b, rtaSPort, a.ask.SPort)
	}
	if a.ask.DPort != 0 {
		b = nl.AppendBE16(b, rtaDPort, a.ask.DPort)
	}
	return b
}

// refused turns an errno into an outcome. It is an error of ours, and not the
// answer, when the kernel found fault with the question.
func (a *asker) refused(ctx context.Context, d *Decision, e *nl.KernelError) error {
	outcome := outcomeOfErrno(e)
	switch {
	case e.Errno == unix.ENODEV:
		return absent{e}
	case outcome == OutcomeUnknown:
		return e
	}
	if src := a.ask.Source.Unmap(); src.Is4() && (e.Errno == unix.ENETUNREACH || e.Errno == unix.EINVAL) {
		// Also said of a source that is not ours: the latter up to Linux 4.x, the
		// former since.
		if ours, err := a.owns(ctx, src); err != nil || !ours {
			return cmp.Or(err, fmt.Errorf("source %v: %w", src, unix.EADDRNOTAVAIL))
		}
	}
	d.Route, d.Outcome = Route{}, outcome
	found, err := a.explain(ctx, d)
	if err == nil && e.Errno == unix.EINVAL && !found && a.dst.Is4() {
		err = e // nothing drops the packet, so it is the question
	}
	if err != nil {
		*d = Decision{}
		return err
	}
	d.Error = e.Errno.Error()
	return nil
}

// outcomeOfErrno is what a packet's errno means, if that is what it is: faults
// of the question come with words.
func outcomeOfErrno(e *nl.KernelError) Outcome {
	switch {
	case e.Errno == unix.ENETUNREACH:
		return OutcomeNoRoute
	case e.Errno == unix.EHOSTUNREACH:
		return OutcomeUnreachable
	case e.Errno == unix.EACCES:
		return OutcomeProhibit
	case e.Errno == unix.EINVAL && e.Message == "":
		return OutcomeBlackhole
	}
	return OutcomeUnknown
}

// owns reports whether an IPv4 address is one of this host: of an interface, be
// it down, or by a local route.
func (a *asker) owns(ctx context.Context, src netip.Addr) (bool, error) {
	ours := false
	body := append([]byte{unix.AF_INET}, make([]byte, unix.SizeofIfAddrmsg-1)...)
	err := a.c.Dump(ctx, nl.Message{Type: unix.RTM_GETADDR, Body: body}, func(_ uint16, b []byte) error {
		if len(b) < unix.SizeofIfAddrmsg {
			return nl.ErrMalformed
		}
		for it := nl.NewAttrs(b[unix.SizeofIfAddrmsg:]); it.Next(); {
			if addr, ok := nl.Addr(it.Data); it.Type == unix.IFA_LOCAL && ok && addr == src {
				ours = true
			}
		}
		return nil
	})
	if ours || err != nil && !errors.Is(err, nl.ErrInterrupted) {
		return ours, err
	}
	local := &asker{reader: a.reader, dst: src}
	var d Decision
	if err := local.send(ctx, &d, false); err != nil {
		return false, nil // not even a way to it
	}
	return d.Route.Type == TypeLocal, nil
}

// explain looks for the rule or route that refuses, and reports whether it
// found one.
func (a *asker) explain(ctx context.Context, d *Decision) (bool, error) {
	list, err := rules(ctx, &Options{NetNS: a.ask.NetNS, Family: a.family()})
	if err != nil && !errors.Is(err, nl.ErrInterrupted) {
		return false, err
	}
	p := packet{
		src: a.ask.Source.Unmap(), dst: a.dst, index: a.oif, mark: a.ask.Mark, tos: a.ask.TOS,
		proto: a.ask.Proto, sport: a.ask.SPort, dport: a.ask.DPort,
	}
	if p.oif, err = a.names.Name(ctx, a.oif); err != nil {
		return false, err
	}
	p.uid = uint32(unix.Getuid())
	if a.ask.UID != nil {
		p.uid = *a.ask.UID
	}
	routes, err := a.refusing(ctx, d.Outcome)
	if err != nil {
		return false, err
	}
	route, rule := explain(p, d.Outcome, list, routes)
	switch {
	case rule != nil:
		d.Outcome, d.Rule = outcomeOfRule(rule.Action), rule
		return true, nil
	case route != nil:
		d.Route = *route
		return true, a.complete(ctx, &d.Route)
	}
	return false, nil
}

// refusing returns the routes that explain needs to see: those that the
// destination is in and that refuse this way or leave it to the next table.
func (a *asker) refusing(ctx context.Context, outcome Outcome) ([]Route, error) {
	refuse, _ := refusal(outcome)
	var ask []Type
	switch refuse {
	case TypeUnspec:
		return nil, nil
	case TypeBlackhole:
		// A next hop object that is a blackhole hides among unicast routes, for
		// the kernel's filter.
		ask = []Type{TypeUnspec}
	default:
		ask = []Type{refuse, TypeThrow}
	}
	var routes []Route
	for _, t := range ask {
		a.o = Options{Family: a.family(), Type: t}
		err := a.dump(ctx, a.family(), func(r *Route) error {
			if (r.Type == refuse || r.Type == TypeThrow) && r.Dst.Contains(a.dst) {
				routes = append(routes, *r)
			}
			return nil
		})
		if err != nil && !errors.Is(err, nl.ErrInterrupted) {
			return nil, err
		}
	}
	return routes, nil
}

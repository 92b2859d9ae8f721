package link

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/netsonde/netsonde/internal/enum"
)

// Snapshot is an interface at a moment, for [Findings].
type Snapshot struct {
	Time   time.Time      `json:"time,omitzero"`
	Link   Link           `json:"link"`
	Report *EthtoolReport `json:"ethtool,omitzero"` // nil: not asked for
	MII    *MII           `json:"mii,omitzero"`     // nil: not asked for
}

// Sample takes a snapshot: the interface, what its driver tells, and where the
// kernel allows it the module and the MII registers, which may take some 0.1 s.
func Sample(ctx context.Context, name string, o *Options) (Snapshot, error) {
	d, err := OpenDevice(ctx, name, o)
	if err != nil {
		return Snapshot{}, err
	}
	defer d.Close()
	s := Snapshot{Time: time.Now()}
	if s.Link, err = Get(ctx, d.Name, o); err != nil && !errors.Is(err, ErrInterrupted) {
		return s, err
	}
	r, err := d.Report(ctx)
	if err != nil {
		return s, err
	}
	c := collector{ctx: ctx, errs: &r.Errors}
	collect(&c, SectionModule, &r.Module, d.Module)
	collect(&c, SectionMII, &s.MII, d.MII)
	s.Report = &r
	return s, c.end(d.Name)
}

// FindingKind is what is wrong with an interface.
type FindingKind uint8

// The kinds.
const (
	FindingNone           FindingKind = iota
	FindingNoLink                     // up, and no signal
	FindingDuplexMismatch             // the two ends of the cable disagree on who may talk when
	FindingHalfDuplex                 // only one side may talk at a time: slow, and seldom wanted
	FindingSlow                       // below what both sides offer: a pair of the cable is bad, often
	FindingErrors                     // errors are counted now
	FindingDrops                      // packets are dropped now
	FindingFlapping                   // the link comes and goes
	FindingVirtualSpeed               // the speed is made up
	FindingModule                     // a module is beyond the limits that its vendor sets
	FindingClock                      // 1000BASE-T: both ends want to be master
)

var findingNames = []string{
	"none", "no_link", "duplex_mismatch", "half_duplex", "slow", "errors", "drops", "flapping", "virtual_speed", "module", "clock",
}

// String returns a word, such as "duplex_mismatch".
func (k FindingKind) String() string { return enum.String(findingNames, "finding", k) }

// MarshalText implements [encoding.TextMarshaler].
func (k FindingKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *FindingKind) UnmarshalText(b []byte) (err error) {
	*k, err = enum.Parse[FindingKind](findingNames, "finding", b)
	return err
}

// Finding is something that is wrong, or looks like it.
type Finding struct {
	Kind      FindingKind `json:"kind"`
	Interface string      `json:"ifname"`
	Text      string      `json:"text"` // a sentence
	// Sure: it was seen; otherwise it follows from what was seen, with other
	// explanations left.
	Sure bool `json:"sure"`
	// Counter is what grew by Grown between the two snapshots; "" for findings
	// about a state.
	Counter string        `json:"counter,omitzero"`
	Grown   uint64        `json:"grown,omitzero"`
	Within  time.Duration `json:"within_ns,omitzero"`
}

// Findings compares two snapshots of an interface. A zero before leaves the
// findings about a state. Counters that went back were reset and are not
// compared, nor are those of another interface of the same name. It asks nobody.
func Findings(before, after Snapshot) []Finding {
	f := finder{before: before, after: after}
	f.compare = before.Link.Index == after.Link.Index && before.Link.Name != "" && after.Link.Index != 0
	f.state()
	if f.compare {
		f.flapping()
		f.counters()
	}
	f.duplex()
	f.module()
	return f.list
}

type finder struct {
	before, after Snapshot
	compare       bool
	list          []Finding
}

func (f *finder) add(k FindingKind, sure bool, format string, args ...any) *Finding {
	f.list = append(f.list, Finding{Kind: k, Interface: f.after.Link.Name, Sure: sure, Text: fmt.Sprintf(format, args...)})
	return &f.list[len(f.list)-1]
}

func (f *finder) within() time.Duration { return max(0, f.after.Time.Sub(f.before.Time)) }

func (f *finder) modes() *LinkModes {
	if f.after.Report == nil {
		return nil
	}
	return f.after.Report.Modes
}

func (f *finder) state() {
	l := f.after.Link
	if l.AdminUp() && l.Carrier == CarrierOff {
		why := ""
		if r := f.after.Report; r != nil && r.State != nil && r.State.ExtState != "" {
			why = ": " + strings.TrimSuffix(r.State.ExtState+" "+r.State.ExtSubstate, " ")
		}
		f.add(FindingNoLink, true, "%s is up and has no link%s", l.Name, strings.ReplaceAll(why, "_", " "))
	}
	m := f.modes()
	if m == nil {
		return
	}
	if m.Virtual && m.Speed != 0 {
		f.add(FindingVirtualSpeed, true, "%s is made of software; its %v say nothing about the path", l.Name, m.Speed)
	}
	if m.MasterState == MasterStateError {
		f.add(FindingClock, true, "%s and its partner both want to be clock master, or both slave", l.Name)
	}
	if best := bestCommon(m); !m.Virtual && m.Autoneg && m.Speed != 0 && best > m.Speed {
		f.add(FindingSlow, false, "%s runs at %v, both sides offer %v: look at the cable", l.Name, m.Speed, best)
	}
}

// bestCommon is the fastest mode that both sides offer, 0 where one does not tell.
func bestCommon(m *LinkModes) (best Speed) {
	for _, mode := range m.Advertised.Modes() {
		if s, _, ok := ModeSpeed(mode); ok && s > best && m.Partner.Has(mode) {
			best = s
		}
	}
	return best
}

func (f *finder) flapping() {
	n := grown(uint64(f.before.Link.CarrierChanges), uint64(f.after.Link.CarrierChanges))
	if n < 2 { // once is somebody plugging a cable
		return
	}
	x := f.add(FindingFlapping, true, "the link of %s came and went: %d changes%s", f.after.Link.Name, n, f.span())
	x.Counter, x.Grown, x.Within = "carrier_changes", n, f.within()
}

func (f *finder) span() string {
	if w := f.within(); w > 0 {
		return " in " + w.Round(time.Millisecond).String()
	}
	return ""
}

// grown is by how much a counter grew, 0 for one that was reset.
func grown(before, after uint64) uint64 {
	if after < before {
		return 0
	}
	return after - before
}

// errorCounter is a counter of errors in Counters and what it means.
type errorCounter struct {
	name    string
	of      func(*Counters) uint64
	meaning string
}

var errorCounters = []errorCounter{
	{"rx_crc_errors", func(c *Counters) uint64 { return c.RxCRCErrors }, "damaged on the way: cable, connector, module, or a duplex mismatch"},
	{"rx_frame_errors", func(c *Counters) uint64 { return c.RxFrameErrors }, "misaligned: cable, or a duplex mismatch"},
	{"rx_length_errors", func(c *Counters) uint64 { return c.RxLengthErrors }, "of a wrong length: MTUs that differ, or collisions"},
	{"rx_over_errors", func(c *Counters) uint64 { return c.RxOverErrors }, "more than the card had buffers for"},
	{"rx_fifo_errors", func(c *Counters) uint64 { return c.RxFIFOErrors }, "more than the card could pass on"},
	{"rx_missed_errors", func(c *Counters) uint64 { return c.RxMissedErrors }, "more than the host fetched: larger rings, or a slow host"},
	{"tx_aborted_errors", func(c *Counters) uint64 { return c.TxAbortedErrors }, "given up after sixteen collisions"},
	{"tx_carrier_errors", func(c *Counters) uint64 { return c.TxCarrierErrors }, "sent into a link that was lost: cable or port"},
	{"tx_fifo_errors", func(c *Counters) uint64 { return c.TxFIFOErrors }, "the card ran out of data while sending"},
	{"tx_heartbeat_errors", func(c *Counters) uint64 { return c.TxHeartbeatErrors }, "an old transceiver without signal quality test"},
	{"tx_window_errors", func(c *Counters) uint64 { return c.TxWindowErrors }, "late collisions: a duplex mismatch, or a cable that is too long"},
}

var (
	sums = []errorCounter{
		{"rx_errors", func(c *Counters) uint64 { return c.RxErrors }, "received wrongly"},
		{"tx_errors", func(c *Counters) uint64 { return c.TxErrors }, "not sent"},
	}
	drops = []errorCounter{
		{"rx_dropped", func(c *Counters) uint64 { return c.RxDropped }, "thrown away on this host: no room, or nobody wants them"},
		{"tx_dropped", func(c *Counters) uint64 { return c.TxDropped }, "thrown away before they were sent: the queue is full, or the interface is down"},
	}
)

func (f *finder) counters() {
	told := map[byte]bool{}
	for _, c := range errorCounters {
		if f.counter(FindingErrors, c) {
			told[c.name[0]] = true
		}
	}
	for _, c := range sums { // only what is not told in detail
		if !told[c.name[0]] {
			f.counter(FindingErrors, c)
		}
	}
	for _, c := range drops {
		f.counter(FindingDrops, c)
	}
}

func (f *finder) counter(k FindingKind, c errorCounter) bool {
	n := grown(c.of(&f.before.Link.Counters), c.of(&f.after.Link.Counters))
	if n == 0 {
		return false
	}
	x := f.add(k, true, "%s counts %d %s%s: %s", f.after.Link.Name, n, c.name, f.span(), c.meaning)
	x.Counter, x.Grown, x.Within = c.name, n, f.within()
	return true
}

// lateCollisions returns how many there were since before, and by which counter.
func (f *finder) lateCollisions() (name string, n uint64) {
	find := func(r *EthtoolReport) map[string]uint64 {
		found := map[string]uint64{}
		if r != nil {
			for _, s := range r.DriverStats {
				if lateCollision(s.Name) {
					found[strings.TrimSpace(s.Name)] = s.Value
				}
			}
			for _, g := range r.Standard {
				for _, s := range g.Stats {
					if lateCollision(s.Name) {
						found[g.Name+"-"+s.Name] = s.Value
					}
				}
			}
		}
		return found
	}
	now := find(f.after.Report)
	var past map[string]uint64
	if f.compare {
		past = find(f.before.Report)
		now["tx_window_errors"] = f.after.Link.Counters.TxWindowErrors
		past["tx_window_errors"] = f.before.Link.Counters.TxWindowErrors
	}
	for key, v := range now {
		old, known := past[key]
		if f.compare && !known {
			continue
		}
		if g := grown(old, v); g > n || g == n && g > 0 && key < name {
			name, n = key, g
		}
	}
	return name, n
}

// duplex looks for two ends that disagree. The half-duplex end sees late
// collisions, the full-duplex end damaged frames (IEEE 802.3, clause 4).
func (f *finder) duplex() {
	m := f.modes()
	if m == nil || m.Virtual {
		return
	}
	name := f.after.Link.Name
	counter, late := f.lateCollisions()
	damaged := uint64(0)
	if f.compare {
		b, a := &f.before.Link.Counters, &f.after.Link.Counters
		damaged = grown(b.RxCRCErrors+b.RxFrameErrors, a.RxCRCErrors+a.RxFrameErrors)
	}
	silent := m.Autoneg && len(m.Partner) > 0 && !m.Partner.Has("Autoneg")
	if mii := f.after.MII; mii != nil && !mii.Derived {
		silent = mii.Autoneg && mii.AutonegComplete && !mii.PartnerAutoneg
	}
	switch {
	case m.Duplex == DuplexHalf && late > 0:
		x := f.add(FindingDuplexMismatch, false, "%s is half duplex and sees late collisions (%d): the other end is full duplex, or the cable too long", name, late)
		x.Counter, x.Grown, x.Within = counter, late, f.within()
		if !f.compare {
			x.Within = 0
		}
	case m.Duplex == DuplexHalf && silent:
		f.add(FindingDuplexMismatch, false, "%s negotiates and its partner does not, so it took half duplex: the partner was probably set to full duplex", name)
	case m.Duplex == DuplexFull && !m.Autoneg && damaged > 0:
		x := f.add(FindingDuplexMismatch, false, "%s is forced to full duplex and receives damaged frames (%d): the other end may have taken half duplex", name, damaged)
		x.Counter, x.Grown, x.Within = "rx_crc_errors", damaged, f.within()
	case m.Duplex == DuplexHalf:
		f.add(FindingHalfDuplex, true, "%s is half duplex", name)
	}
}

func (f *finder) module() {
	if f.after.Report == nil || f.after.Report.Module == nil {
		return
	}
	for _, text := range f.after.Report.Module.Beyond() {
		f.add(FindingModule, true, "the module of %s: %s", f.after.Link.Name, text)
	}
}

// Beyond returns what a module measures beyond the limits that its vendor sets,
// a sentence each. A lane without laser current is off and not looked at.
func (m Module) Beyond() (list []string) {
	if m.Limits == nil {
		return nil
	}
	check := func(what string, v float64, l Limits) {
		switch {
		case l == Limits{}: // none are set
		case v >= l.HighAlarm || v <= l.LowAlarm:
			list = append(list, fmt.Sprintf("%s %.4g is beyond the alarm limits %.4g and %.4g", what, v, l.LowAlarm, l.HighAlarm))
		case v >= l.HighWarning || v <= l.LowWarning:
			list = append(list, fmt.Sprintf("%s %.4g is beyond the warning limits %.4g and %.4g", what, v, l.LowWarning, l.HighWarning))
		}
	}
	if m.Temperature != nil {
		check("temperature (°C)", *m.Temperature, m.Limits.Temperature)
	}
	if m.Voltage != nil {
		check("voltage (V)", *m.Voltage, m.Limits.Voltage)
	}
	for i, lane := range m.Lanes {
		if lane.Bias == 0 {
			continue
		}
		check(fmt.Sprintf("lane %d: laser current (mA)", i+1), lane.Bias, m.Limits.Bias)
		check(fmt.Sprintf("lane %d: sent power (mW)", i+1), lane.TxPower, m.Limits.TxPower)
		check(fmt.Sprintf("lane %d: received power (mW)", i+1), lane.RxPower, m.Limits.RxPower)
	}
	return list
}

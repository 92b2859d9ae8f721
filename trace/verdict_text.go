package trace

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// String returns the sentences, one a line.
func (v Verdict) String() string { return strings.Join(v.Sentences(), "\n") }

// Sentences says the verdict in plain words: loss first, then what looks like
// trouble and is none, then times.
func (v Verdict) Sentences() []string {
	if len(v.Hops) == 0 || v.Loss == LossUnknown {
		return []string{"Nothing answered."}
	}
	s := v.sayLoss()
	s = append(s, v.sayEnd()...)
	s = append(s, v.sayHops()...)
	return append(s, v.sayTimes()...)
}

// hop names a hop.
func (v *Verdict) hop(ttl int) string {
	if ttl < v.Hops[0].TTL {
		if ttl == 0 {
			return "this host"
		}
		return fmt.Sprintf("hop %d", ttl)
	}
	h := v.Hops[min(ttl-v.Hops[0].TTL, len(v.Hops)-1)]
	if v.Reached && same(h.Addr, v.target) {
		return fmt.Sprintf("the target (%v)", h.Addr)
	}
	if !h.Addr.IsValid() {
		return fmt.Sprintf("hop %d", ttl)
	}
	return fmt.Sprintf("hop %d (%v)", ttl, h.Addr)
}

func percent(share float64) string {
	if p := share * 100; p < 10 && p != math.Round(p) {
		return fmt.Sprintf("%.1f %%", p)
	}
	return fmt.Sprintf("%.0f %%", share*100)
}

func milliseconds(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

func (v *Verdict) sayLoss() []string {
	switch v.Loss {
	case LossNone:
		return []string{v.sayNone()}
	case LossReal:
		return v.sayReal()
	case LossUnclear:
		return []string{fmt.Sprintf("Not enough probes: %s left %d of %d without an answer, which may be chance. About %d rounds would tell.",
			v.hop(v.End), v.lost, v.sent, v.Needed)}
	}
	s := "Whether packets are lost cannot be told: the last hop that answers seems to limit how often it does."
	if v.End != 0 {
		s = fmt.Sprintf("No loss up to %s. The last hop that answers seems to limit how often it does: what is missing there tells nothing.", v.hop(v.End))
	}
	return []string{s + " Ask less often" + v.otherProbes()}
}

func (v *Verdict) sayNone() string {
	all := fmt.Sprintf("all %d probes", v.sent)
	if v.sent == 1 {
		all = "the one probe sent"
	}
	if v.High > 0.1 {
		return fmt.Sprintf("No loss seen: %s answered %s, but with so few, loss of up to %s may go unseen.", v.hop(v.End), all, percent(v.High))
	}
	return fmt.Sprintf("No loss: %s answered %s, so with 95 %% confidence less than %s is lost.", v.hop(v.End), all, percent(v.High))
}

func (v *Verdict) otherProbes() string {
	switch v.method {
	case MethodUDP:
		return ", by ICMP echo, or by TCP to an open port."
	case MethodICMP:
		return ", by UDP, or by TCP to an open port."
	}
	return ", by ICMP echo, or by UDP."
}

func (v *Verdict) sayReal() []string {
	s := fmt.Sprintf("Loss: %s of the packets are lost (%s to %s with 95 %% confidence), ", percent(v.Rate), percent(v.Low), percent(v.High))
	if v.After+1 == v.At {
		s += fmt.Sprintf("between %s and %s, or on the way back from there: from there on it lasts to the end.", v.hop(v.After), v.hop(v.At))
	} else {
		s += fmt.Sprintf("somewhere between %s and %s, most probably right before %s, or on the way back from there.",
			v.hop(v.After), v.hop(v.At), v.hop(v.Hop))
	}
	out := []string{s}
	for _, w := range v.Worse {
		out = append(out, fmt.Sprintf("Between %s and %s it grows, from %s to %s.", v.hop(w.After), v.hop(w.At), percent(w.From), percent(w.To)))
	}
	if v.Needed > 0 {
		out = append(out, fmt.Sprintf("There are not enough probes to tell the hop: about %d rounds would.", v.Needed))
	} else if v.After+1 < v.At {
		out = append(out, "The hops in between do not answer every probe for reasons of their own, so they cannot tell where: ask once a second at most.")
	}
	if v.Rate < 0.02 {
		out = append(out, "One or two percent is not unusual.")
	}
	return out
}

// sayEnd tells why the path ends before the target.
func (v *Verdict) sayEnd() []string {
	if v.Reached {
		return nil
	}
	last := v.Hops[0].TTL - 1
	for _, h := range v.Hops {
		if h.State != HopSilent && h.State != HopUnknown {
			last = h.TTL
		}
	}
	if v.Refused != nil {
		return []string{fmt.Sprintf("The path ends at hop %d: %v refuses (%v).", last, v.Refused.From, v.Refused.Kind)}
	}
	return []string{fmt.Sprintf("%v does not answer; %s is the last that does, so it works. The target may be down, or it or a firewall drops such probes: ask otherwise%s",
		v.target, v.hop(last), v.otherProbes())}
}

// sayHops tells of hops that look worse than they are.
func (v *Verdict) sayHops() (out []string) {
	say := func(keep func(HopVerdict) bool, one, many, rest string) {
		var ttls []int
		for _, h := range v.Hops {
			if keep(h) {
				ttls = append(ttls, h.TTL)
			}
		}
		switch len(ttls) {
		case 0:
		case 1:
			out = append(out, fmt.Sprintf("Hop %d %s", ttls[0], one)+rest)
		default:
			out = append(out, "Hops "+ranges(ttls)+" "+many+rest)
		}
	}
	last := 0
	for _, h := range v.Hops {
		if h.State != HopSilent && h.State != HopUnknown {
			last = h.TTL
		}
	}
	say(func(h HopVerdict) bool { return h.State == HopLimited && h.TTL < last },
		"limits the rate of its", "limit the rate of their", " ICMP messages"+v.every()+". What is missing there is no loss: packets pass.")
	say(func(h HopVerdict) bool { return h.State == HopReluctant && h.TTL < last },
		"leaves probes", "leave probes", " without an answer that later hops give. That is no loss: packets pass.")
	say(func(h HopVerdict) bool { return h.State == HopSilent && h.TTL < last },
		"never answers", "never answer", ", but later hops do: packets pass.")
	say(func(h HopVerdict) bool { return h.Slow > 0 },
		"is slow to answer", "are slow to answer", v.slow()+". That is no congestion: later hops answer sooner, so packets pass at once.")
	for _, h := range v.Hops {
		if h.Routers > 1 {
			out = append(out, fmt.Sprintf("Hop %d is %d routers; the answers changed from one to another %d times.", h.TTL, h.Routers, h.Changes))
		}
	}
	return out
}

// every says how often limited hops answer, when they agree.
func (v *Verdict) every() string {
	var least, most time.Duration
	for _, h := range v.Hops {
		if h.State == HopLimited && h.Every > 0 {
			if least == 0 || h.Every < least {
				least = h.Every
			}
			most = max(most, h.Every)
		}
	}
	if least == 0 || most > least+least/5 {
		return ""
	}
	return " to one in " + milliseconds(least)
}

// slow says by how much slow hops are.
func (v *Verdict) slow() string {
	var most time.Duration
	for _, h := range v.Hops {
		most = max(most, h.Slow)
	}
	return ", by up to " + milliseconds(most)
}

func (v *Verdict) sayTimes() (out []string) {
	if d := v.Delay; d != nil {
		s := fmt.Sprintf("Of the %s to the end, %s are spent between %s and %s", milliseconds(v.time), milliseconds(d.By), v.hop(d.After), v.hop(d.At))
		if d.Steady {
			s += ", always: a long way, or a queue that is never empty."
		} else {
			s += ", at times."
		}
		out = append(out, s)
	}
	if q := v.Queue; q != nil {
		out = append(out, fmt.Sprintf("From %s on times vary by %s, to the end: a link between %s and there, or on the way back, is busy.",
			v.hop(q.At), milliseconds(q.By), v.hop(q.After)))
	}
	return out
}

// ranges writes numbers in order as "1 to 3, 5 and 7".
func ranges(ttls []int) string {
	var parts []string
	for i := 0; i < len(ttls); {
		j := i
		for j+1 < len(ttls) && ttls[j+1] == ttls[j]+1 {
			j++
		}
		switch {
		case j > i+1:
			parts = append(parts, fmt.Sprintf("%d to %d", ttls[i], ttls[j]))
		case j > i:
			parts = append(parts, fmt.Sprint(ttls[i]), fmt.Sprint(ttls[j]))
		default:
			parts = append(parts, fmt.Sprint(ttls[i]))
		}
		i = j + 1
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

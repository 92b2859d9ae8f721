package route

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// dict is a piece of ip's JSON.
type dict = map[string]any

// put adds what ip leaves out when it is zero.
func put[T comparable](o dict, key string, v T) {
	var zero T
	if v != zero {
		o[key] = v
	}
}

// destination is how ip writes a prefix: no length for single addresses.
func destination(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.Bits() == 0:
		return "default"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

func table(t uint32) string {
	if name := map[uint32]string{253: "default", 254: "main", 255: "local"}[t]; name != "" {
		return name
	}
	return fmt.Sprint(t)
}

// word is ip's way with values that have no name: the number.
func word(s fmt.Stringer, v any) string {
	if strings.Contains(s.String(), "(") {
		return fmt.Sprint(v)
	}
	return s.String()
}

func routeView(r Route) dict {
	o := dict{
		"type": r.Type.String(), "dst": destination(r.Dst), "scope": word(r.Scope, uint8(r.Scope)),
		"protocol": word(r.Protocol, uint8(r.Protocol)),
	}
	if r.Table != 0 {
		o["table"] = table(r.Table)
	}
	put(o, "from", destination(r.Src))
	if r.TOS != 0 {
		o["tos"] = fmt.Sprintf("%#02x", r.TOS)
	}
	put(o, "nhid", r.NHID)
	if r.PrefSrc.IsValid() {
		o["prefsrc"] = r.PrefSrc.WithZone("").String()
	}
	if r.Family == FamilyIPv6 {
		o["metric"] = r.Metric
		o["pref"] = r.Pref.String()
	} else {
		put(o, "metric", r.Metric)
	}
	wayView(o, r.Family, r.Gateway, r.Device, r.Flags, r.Flow)
	if len(r.NextHops) > 1 {
		var hops []dict
		for _, h := range r.NextHops {
			hop := dict{"weight": h.Weight}
			wayView(hop, r.Family, h.Gateway, h.Device, h.Flags, h.Flow)
			hops = append(hops, hop)
		}
		o["nexthops"] = hops
	}
	if r.Metrics != nil {
		o["metrics"] = []dict{metricsView(r.Metrics)}
	}
	put(o, "expires", int(r.Expires/time.Second))
	return o
}

func wayView(o dict, f Family, gateway netip.Addr, device string, flags Flags, flow uint32) {
	gw := gateway.WithZone("")
	switch {
	case !gateway.IsValid():
	case gw.Is6() == (f == FamilyIPv6):
		o["gateway"] = gw.String()
	default:
		o["via"] = dict{"family": "inet6", "host": gw.String()}
	}
	put(o, "dev", device)
	words := []string{}
	for _, w := range []Flags{FlagDead, FlagOnLink, FlagPervasive, FlagOffload, FlagTrap, FlagLinkDown} {
		if flags&w != 0 {
			words = append(words, w.String())
		}
	}
	o["flags"] = words
	if flow != 0 {
		d := dict{"to": fmt.Sprint(flow & 0xffff)}
		if from := flow >> 16; from != 0 {
			d["from"] = fmt.Sprint(from)
		}
		o["flow"] = d
	}
}

func metricsView(m *Metrics) dict {
	o := dict{}
	for key, v := range map[string]uint32{
		"mtu": m.MTU, "window": m.Window, "rtt": m.RTT / 8, "rttvar": m.RTTVar / 4, "ssthresh": m.SSThresh, "cwnd": m.Cwnd,
		"advmss": m.AdvMSS, "reordering": m.Reordering, "hoplimit": m.HopLimit, "initcwnd": m.InitCwnd, "rto_min": m.RTOMin,
		"initrwnd": m.InitRwnd, "quickack": m.QuickACK, "fastopen_no_cookie": m.NoFastOpenCookie,
	} {
		put(o, key, v)
	}
	put(o, "congestion", m.CongestionCtl)
	if m.Features&1 != 0 {
		o["ecn"] = nil
	}
	return o
}

func ruleView(r Rule) dict {
	o := dict{"priority": r.Priority, "src": "all", "protocol": word(r.Protocol, uint8(r.Protocol))}
	for key, p := range map[string]netip.Prefix{"src": r.Src, "dst": r.Dst} {
		if p.IsValid() {
			o[key] = p.Addr().String()
			if !p.IsSingleIP() {
				o[key+"len"] = p.Bits()
			}
		}
	}
	if r.Invert {
		o["not"] = nil
	}
	if r.TOS != 0 {
		o["tos"] = fmt.Sprintf("%#x", r.TOS)
	}
	if r.Mask != 0 {
		o["fwmark"] = fmt.Sprintf("%#x", r.Mark)
		if r.Mark == 0 {
			o["fwmark"] = "0"
		}
		if r.Mask != 0xffffffff {
			o["fwmask"] = fmt.Sprintf("%#x", r.Mask)
		}
	}
	for key, name := range map[string]string{"iif": r.IIF, "oif": r.OIF} {
		put(o, key, name)
	}
	for key, bit := range map[string]RuleFlags{"iif_detached": RuleIIFDetached, "oif_detached": RuleOIFDetached, "unresolved": RuleUnresolved} {
		if r.Flags&bit != 0 {
			o[key] = nil
		}
	}
	if r.L3MDev {
		o["l3mdev"] = nil
	}
	if r.UID != nil {
		o["uid_start"], o["uid_end"] = r.UID.Low, r.UID.High
	}
	if r.Proto != 0 {
		o["ipproto"] = map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}[r.Proto]
	}
	portsView(o, "sport", r.SPort)
	portsView(o, "dport", r.DPort)
	put(o, "tun_id", r.TunnelID)
	actionView(o, r)
	return o
}

func actionView(o dict, r Rule) {
	// ip shows these with a table only.
	if r.SuppressLen != nil && r.Table != 0 {
		o["suppress_prefixlen"] = *r.SuppressLen
	}
	if r.SuppressGroup != nil && r.Table != 0 {
		o["suppress_ifgroup"] = fmt.Sprint(*r.SuppressGroup)
	}
	if from, to := r.Flow>>16, r.Flow&0xffff; r.Flow != 0 {
		if from != 0 {
			o["flow_from"] = fmt.Sprint(from)
		}
		o["flow_to"] = fmt.Sprint(to)
	}
	switch {
	case r.Action == ActionTable && r.Table != 0:
		o["table"] = table(r.Table)
	case r.Action == ActionTable:
	case r.Action == ActionGoto:
		o["goto"] = r.Goto
	case r.Action == ActionNop:
		o["nop"] = nil
	default:
		o["action"] = r.Action.String()
	}
}

func portsView(o dict, key string, r *Range) {
	switch {
	case r == nil:
	case r.Low == r.High:
		o[key] = r.Low
	default:
		o[key+"_start"], o[key+"_end"] = r.Low, r.High
	}
}

func neighborView(n Neighbor) dict {
	o := dict{
		"dst": n.Addr.WithZone("").String(), "dev": n.Device, "probes": n.Probes, "used": int(n.LastUsed / time.Second),
		"confirmed": int(n.Confirmed / time.Second), "updated": int(n.Updated / time.Second),
	}
	put(o, "lladdr", n.HardwareAddr.String())
	put(o, "refcnt", n.Refs)
	put(o, "nhid", n.NHID)
	if n.Protocol != 0 {
		o["protocol"] = word(n.Protocol, uint8(n.Protocol))
	}
	if n.State != NeighborNone {
		o["state"] = []string{strings.ToUpper(n.State.String())}
	}
	for bit, word := range map[NeighborFlags]string{NeighborRouter: "router", NeighborProxy: "proxy", NeighborExtern: "extern_learn", NeighborOffloaded: "offload"} {
		if n.Flags&bit != 0 {
			o[word] = nil
		}
	}
	if n.ExtFlags&1 != 0 {
		o["managed"] = nil
	}
	return o
}

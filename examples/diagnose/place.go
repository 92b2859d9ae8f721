package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/netsonde/netsonde/diagnose"
	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/resolve"
)

// namesOf looks up the names of the places that the verdict is about, all at
// once and with little patience: a name never holds the verdict up.
func namesOf(ctx context.Context, r diagnose.Report, numeric bool, budget time.Duration) map[string]string {
	names := map[string]string{}
	patience := min(500*time.Millisecond, budget-r.Cost.Wall)
	if numeric || patience <= 0 || r.Verdict.Where == nil || !r.Verdict.Where.Addr.IsValid() || r.Verdict.Where.Kind == diagnose.AtResolver {
		return names
	}
	conf, err := resolve.ReadConfig("/etc/resolv.conf")
	if err != nil || conf.NoServer || r.ResolverBroken() {
		return names
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a := r.Verdict.Where.Addr
	ans, err := (&resolve.Client{}).Query(ctx, conf.Servers[0], resolve.Question{Name: resolve.ReverseName(a), Type: resolve.TypePTR})
	if err == nil && len(ans.Records) > 0 {
		if ptr, ok := ans.Records[0].Data.(resolve.PTR); ok {
			names[a.String()] = strings.TrimSuffix(ptr.Target, ".")
		}
	}
	return names
}

// place prints a location in words.
func place(l *diagnose.Location, names map[string]string) string {
	switch {
	case l == nil:
		return ""
	case !l.Addr.IsValid() && l.Iface != "":
		return "on this host, " + l.Iface
	case !l.Addr.IsValid():
		return map[diagnose.LocationKind]string{
			diagnose.AtLocal: "on this host", diagnose.AtL2: "on this host's own network", diagnose.AtHop: "on the way",
			diagnose.AtResolver: "at the name server", diagnose.AtRemote: "at the target",
		}[l.Kind]
	}
	what := map[diagnose.LocationKind]string{
		diagnose.AtLocal: "on this host", diagnose.AtL2: "on " + l.Iface + "'s own network,", diagnose.AtHop: "at hop",
		diagnose.AtResolver: "at name server", diagnose.AtRemote: "at the target",
	}[l.Kind]
	addr := l.Addr.String()
	if n := names[addr]; n != "" {
		addr = fmt.Sprintf("%s (%s)", cli.Escape(n), addr)
	}
	return what + " " + addr
}

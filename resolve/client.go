package resolve

import (
	"context"
	"net/netip"
	"time"

	"github.com/netsonde/netsonde/internal/operr"
)

const defaultTimeout = 2 * time.Second

var _ Resolver = Client{}

// Query asks server, whose port 0 stands for 53. That there was no reply, or a
// bad one, is in the Answer; see [Outcome]. An error means that q is not a
// question, that an option was refused, or that ctx ended: then the Answer has
// what was learnt until that moment.
func (c Client) Query(ctx context.Context, server netip.AddrPort, q Question) (Answer, error) {
	const op = "resolve: query"
	x, err := newExchange(server, q, c.settings())
	if err != nil {
		return Answer{Server: server, Question: q}, operr.New(op, server, err)
	}
	err = drive(ctx, []*exchange{x}, c.place())
	return x.ans, operr.New(op, server, err)
}

func (c Client) settings() settings {
	s := settings{timeout: c.Timeout, attempts: max(1, c.Attempts), edns: !c.NoEDNS, fallback: true, tcp: c.TCPOnly, recurse: !c.NoRecursion}
	switch {
	case c.Timeout == 0:
		s.timeout = defaultTimeout
	case c.Timeout < 0:
		s.timeout = 0
	}
	return s
}

// place is where sockets are opened from.
type place struct {
	device string
	mark   uint32
	source netip.Addr
	netns  int
}

func (c Client) place() place { return place{c.Device, c.Mark, c.Source, c.NetNS} }

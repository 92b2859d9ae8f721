package ping

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/netsonde/netsonde/internal/operr"
)

// TCP pings by connecting to a port, which needs no privilege. A SYN-ACK is a
// reply and so is a reset ([Result.Refused]): both come from the host. An ICMP
// error is told with its sender. The connection is reset at once.
//
// The options that TCP uses are Timeout, TTL, TOS, Device, Mark, Source and
// NetNS. On systems other than Linux it uses Timeout and Source, and the
// others are refused.
type TCP struct {
	Port uint16
	Options
}

// tcpWhy is Result.Why of TCP.
const tcpWhy = "asked for; a connect needs no privilege"

// Ping implements [Pinger]. Result.Seq is 0. A host that this system has no
// route to is [OutcomeLocalError]; lack of ports or descriptors is an error.
func (t TCP) Ping(ctx context.Context, dst netip.Addr) (Result, error) {
	opt := t.resolved()
	r := Result{Target: dst, Method: MethodTCP, Why: tcpWhy}
	var err error
	switch {
	case !dst.IsValid():
		err = errNoAddress
	case t.Port == 0:
		err = errors.New("no port")
	case opt.Method != MethodAuto && opt.Method != MethodTCP:
		err = fmt.Errorf("tcp cannot use method %v", opt.Method)
	default:
		err = connect(ctx, netip.AddrPortFrom(dst.Unmap(), t.Port), &opt, &r)
	}
	if err != nil {
		return Result{Target: dst, Method: MethodTCP, Why: tcpWhy}, operr.New("ping: tcp", dst, err)
	}
	return r, nil
}

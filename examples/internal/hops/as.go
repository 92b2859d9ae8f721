package hops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/resolve"
)

// NewAS returns what finds the autonomous systems of addresses, as "AS64500",
// in the DNS: the zone has a TXT record "64500 | 192.0.2.0/24 | …" for
// 1.2.0.192.origin.ZONE, and for IPv6 by nibble below origin6.ZONE. It asks
// the servers that this system is set up to use, and without any it is an
// error. Addresses that have no owner are not asked about.
func NewAS(ctx context.Context, zone string) (*cli.Names, error) {
	return newOrigins(ctx, zone, origins)
}

// Origin is a field of what a zone tells of an address.
type Origin int

// The fields, in the order of the zone's records and of mtr's option -y.
const (
	OriginAS Origin = iota
	OriginPrefix
	OriginCountry
	OriginRegistry
	OriginDate
	Origins // is how many there are
)

// NewOrigins returns what finds all that the zone tells of addresses, in the
// same way as [NewAS]. [Origin.Of] takes it apart.
func NewOrigins(ctx context.Context, zone string) (*cli.Names, error) {
	return newOrigins(ctx, zone, func(records []string) []string {
		as := origins(records)
		if as == nil {
			return nil
		}
		_, rest, _ := strings.Cut(records[0], "|")
		return []string{as[0] + "|" + rest}
	})
}

// Of returns a field of what was found of an address; "" where there is none.
func (o Origin) Of(found string) string {
	fields := strings.Split(found, "|")
	if int(o) >= len(fields) {
		return ""
	}
	return strings.TrimSpace(fields[o])
}

func newOrigins(ctx context.Context, zone string, read func([]string) []string) (*cli.Names, error) {
	c, err := resolve.ReadConfig("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	if c.NoServer || len(c.Servers) == 0 {
		return nil, errors.New("no name server is set up to ask for autonomous systems")
	}
	r := cli.Resolver()
	return cli.NewLookups(ctx, func(ctx context.Context, addr string) ([]string, error) {
		a, err := netip.ParseAddr(addr)
		if err != nil || !a.IsGlobalUnicast() || a.IsPrivate() {
			return nil, err
		}
		records, err := r.LookupTXT(ctx, originName(a, zone))
		if err != nil {
			return nil, err
		}
		return read(records), nil
	}), nil
}

// originName is where the zone tells of an address.
func originName(a netip.Addr, zone string) string {
	zone = strings.Trim(zone, ".")
	b := a.AsSlice()
	var labels []string
	if a.Is4() {
		for _, octet := range b {
			labels = append([]string{fmt.Sprint(octet)}, labels...)
		}
		return strings.Join(labels, ".") + ".origin." + zone + "."
	}
	for _, nibble := range hex.EncodeToString(b) {
		labels = append([]string{string(nibble)}, labels...)
	}
	return strings.Join(labels, ".") + ".origin6." + zone + "."
}

// origins joins the systems of all records, as traceroute does: "AS1/AS2".
func origins(records []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, r := range records {
		numbers, _, _ := strings.Cut(r, "|")
		for n := range strings.FieldsSeq(numbers) {
			if strings.Trim(n, "0123456789") == "" && !seen[n] {
				seen[n] = true
				all = append(all, "AS"+n)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []string{strings.Join(all, "/")}
}

package lab

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Zone is a small DNS zone whose method Answer is a DNSHandler.
type Zone struct {
	Origin string // "corp.test."

	// Records has for each name, relative to the origin ("www", "@" for the
	// origin itself) or fully qualified, lines such as "A 10.0.0.1",
	// "AAAA fd00::1", "CNAME web", "NS ns1", "PTR host", "MX 10 mail",
	// "SRV 0 0 5060 sip" and "TXT any text".
	Records map[string][]string
	TTL     uint32 // seconds; 0 is 300

	// Recursive makes the answers those of a resolver that has looked them up:
	// recursion available, not authoritative.
	Recursive bool
}

// Answer answers from the zone: records, a chain of CNAMEs, nothing (NODATA)
// or NXDOMAIN, the last two with the SOA record. Names of other zones are
// REFUSED. It panics on a record that it cannot read.
func (z Zone) Answer(q DNSQuery) DNSReply { return Zones(z)(q) }

// Zones answers from the zone with the longest origin that fits the name.
func Zones(zones ...Zone) DNSHandler {
	return func(q DNSQuery) DNSReply {
		var best *Zone
		for i := range zones {
			if z := &zones[i]; z.contains(q.Name) && (best == nil || len(z.Origin) > len(best.Origin)) {
				best = z
			}
		}
		if best == nil {
			recursive := len(zones) > 0 && zones[0].Recursive
			return DNSReply{RCode: dnsmessage.RCodeRefused, RecursionAvailable: recursive}
		}
		return best.answer(q)
	}
}

func (z *Zone) answer(q DNSQuery) DNSReply {
	r := DNSReply{Authoritative: !z.Recursive, RecursionAvailable: z.Recursive}
	owner := q.question.Name // with the letters as they were written
	for range 8 {            // a chain of CNAMEs, not for ever
		records, exists := z.lookup(owner)
		var alias dnsmessage.Name
		found := 0
		for _, record := range records {
			switch body := record.Body.(type) {
			case *dnsmessage.CNAMEResource:
				alias = body.CNAME
			default:
				if record.Header.Type != q.Type && q.Type != dnsmessage.TypeALL {
					continue
				}
			}
			found++
			r.Answers = append(r.Answers, record)
		}
		switch {
		case !exists:
			r.RCode = dnsmessage.RCodeNameError
			r.Authorities = []dnsmessage.Resource{z.soa()}
			return r
		case found == 0: // NODATA
			r.Authorities = []dnsmessage.Resource{z.soa()}
			return r
		case alias.Length == 0 || q.Type == dnsmessage.TypeCNAME || !z.contains(alias.String()):
			return r
		}
		owner = alias
	}
	return r
}

func (z *Zone) contains(name string) bool {
	name, origin := strings.ToLower(name), strings.ToLower(z.Origin)
	return origin == "." || name == origin || strings.HasSuffix(name, "."+origin)
}

// lookup returns the records of a name. A name exists also if there are only
// names below it.
func (z *Zone) lookup(owner dnsmessage.Name) (records []dnsmessage.Resource, exists bool) {
	name := strings.ToLower(owner.String())
	if name == strings.ToLower(z.Origin) {
		records, exists = append(records, z.soa()), true
	}
	for key, lines := range z.Records {
		full := strings.ToLower(z.qualify(key))
		exists = exists || full == name || strings.HasSuffix(full, "."+name)
		if full != name {
			continue
		}
		for _, line := range lines {
			record := z.record(key, line)
			record.Header.Name = owner
			records = append(records, record)
		}
	}
	return records, exists
}

func (z *Zone) qualify(name string) string {
	switch {
	case name == "@":
		return z.Origin
	case strings.HasSuffix(name, "."):
		return name
	case z.Origin == ".":
		return name + "."
	}
	return name + "." + z.Origin
}

func (z *Zone) name(s string) dnsmessage.Name { return dnsmessage.MustNewName(z.qualify(s)) }

func (z *Zone) header(name string) dnsmessage.ResourceHeader {
	ttl := z.TTL
	if ttl == 0 {
		ttl = 300
	}
	return dnsmessage.ResourceHeader{Name: z.name(name), Class: dnsmessage.ClassINET, TTL: ttl}
}

func (z *Zone) soa() dnsmessage.Resource {
	h := z.header("@")
	h.Type = dnsmessage.TypeSOA
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.SOAResource{
		NS: z.name("ns"), MBox: z.name("hostmaster"),
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: h.TTL,
	}}
}

// record reads one line of a name.
func (z *Zone) record(name, line string) dnsmessage.Resource {
	kind, rest, _ := strings.Cut(line, " ")
	r := dnsmessage.Resource{Header: z.header(name)}
	var err error
	switch kind {
	case "A", "AAAA":
		r.Header.Type, r.Body, err = addressRecord(kind, rest)
	case "CNAME":
		r.Header.Type, r.Body = dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: z.name(rest)}
	case "NS":
		r.Header.Type, r.Body = dnsmessage.TypeNS, &dnsmessage.NSResource{NS: z.name(rest)}
	case "PTR":
		r.Header.Type, r.Body = dnsmessage.TypePTR, &dnsmessage.PTRResource{PTR: z.name(rest)}
	case "TXT":
		r.Header.Type, r.Body = dnsmessage.TypeTXT, &dnsmessage.TXTResource{TXT: []string{rest}}
	case "MX":
		var mx dnsmessage.MXResource
		var host string
		_, err = fmt.Sscan(rest, &mx.Pref, &host)
		mx.MX = z.name(host)
		r.Header.Type, r.Body = dnsmessage.TypeMX, &mx
	case "SRV":
		var srv dnsmessage.SRVResource
		var host string
		_, err = fmt.Sscan(rest, &srv.Priority, &srv.Weight, &srv.Port, &host)
		srv.Target = z.name(host)
		r.Header.Type, r.Body = dnsmessage.TypeSRV, &srv
	default:
		err = fmt.Errorf("unknown type")
	}
	if err != nil {
		panic(fmt.Sprintf("lab: record %q of %s: %v", line, name, err)) // the test's own mistake
	}
	return r
}

func addressRecord(kind, text string) (dnsmessage.Type, dnsmessage.ResourceBody, error) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return 0, nil, err
	case addr.Is4() != (kind == "A"):
		return 0, nil, fmt.Errorf("wrong family")
	case addr.Is4():
		return dnsmessage.TypeA, &dnsmessage.AResource{A: addr.As4()}, nil
	}
	return dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: addr.As16()}, nil
}

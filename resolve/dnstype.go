package resolve

import (
	"fmt"
	"strconv"
	"strings"
)

// Type is the type of a record or question, as registered with IANA.
type Type uint16

// The types that this package has fields for, and those often asked for.
const (
	TypeA      Type = 1
	TypeNS     Type = 2
	TypeCNAME  Type = 5
	TypeSOA    Type = 6
	TypePTR    Type = 12
	TypeMX     Type = 15
	TypeTXT    Type = 16
	TypeAAAA   Type = 28
	TypeSRV    Type = 33
	TypeNAPTR  Type = 35
	TypeDNAME  Type = 39
	TypeOPT    Type = 41
	TypeDS     Type = 43
	TypeRRSIG  Type = 46
	TypeNSEC   Type = 47
	TypeDNSKEY Type = 48
	TypeTLSA   Type = 52
	TypeSVCB   Type = 64
	TypeHTTPS  Type = 65
	TypeANY    Type = 255
	TypeCAA    Type = 257
)

// typeName covers every type a tool may print; a switch, so that nothing has to
// be built at start-up.
func typeName(t Type) string {
	switch t {
	case TypeA:
		return "A"
	case TypeNS:
		return "NS"
	case TypeCNAME:
		return "CNAME"
	case TypeSOA:
		return "SOA"
	case TypePTR:
		return "PTR"
	case TypeMX:
		return "MX"
	case TypeTXT:
		return "TXT"
	case TypeAAAA:
		return "AAAA"
	case TypeSRV:
		return "SRV"
	case TypeNAPTR:
		return "NAPTR"
	case TypeDNAME:
		return "DNAME"
	case TypeOPT:
		return "OPT"
	case TypeDS:
		return "DS"
	case TypeRRSIG:
		return "RRSIG"
	case TypeNSEC:
		return "NSEC"
	case TypeDNSKEY:
		return "DNSKEY"
	case TypeTLSA:
		return "TLSA"
	case TypeSVCB:
		return "SVCB"
	case TypeHTTPS:
		return "HTTPS"
	case TypeANY:
		return "ANY"
	case TypeCAA:
		return "CAA"
	}
	return ""
}

// rareTypes have a name but no constant and no fields here.
var rareTypes = [...]struct {
	t    Type
	name string
}{
	{13, "HINFO"}, {17, "RP"}, {18, "AFSDB"}, {24, "SIG"}, {25, "KEY"}, {29, "LOC"}, {36, "KX"},
	{37, "CERT"}, {42, "APL"}, {44, "SSHFP"}, {45, "IPSECKEY"}, {49, "DHCID"}, {50, "NSEC3"},
	{51, "NSEC3PARAM"}, {53, "SMIMEA"}, {55, "HIP"}, {59, "CDS"}, {60, "CDNSKEY"}, {61, "OPENPGPKEY"},
	{62, "CSYNC"}, {63, "ZONEMD"}, {99, "SPF"}, {108, "EUI48"}, {109, "EUI64"}, {249, "TKEY"},
	{250, "TSIG"}, {251, "IXFR"}, {252, "AXFR"}, {256, "URI"},
}

// String returns the mnemonic, such as "AAAA", and "TYPE65280" for a type that
// has none here (RFC 3597).
func (t Type) String() string {
	if n := typeName(t); n != "" {
		return n
	}
	for _, r := range rareTypes {
		if r.t == t {
			return r.name
		}
	}
	return "TYPE" + itoa(int(t))
}

// ParseType is the reverse of [Type.String]; case does not matter.
func ParseType(s string) (Type, error) {
	u := strings.ToUpper(s)
	if rest, ok := strings.CutPrefix(u, "TYPE"); ok {
		if n, err := strconv.ParseUint(rest, 10, 16); err == nil {
			return Type(n), nil
		}
	}
	for t := TypeA; t <= TypeCAA; t++ {
		if typeName(t) == u {
			return t, nil
		}
	}
	for _, r := range rareTypes {
		if r.name == u {
			return r.t, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", s)
}

// MarshalText implements [encoding.TextMarshaler].
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Type) UnmarshalText(b []byte) (err error) {
	*t, err = ParseType(string(b))
	return err
}

// Class is the class of a record or question.
type Class uint16

// The classes in use.
const (
	ClassIN   Class = 1
	ClassCH   Class = 3 // CHAOS: version.bind and friends
	ClassHS   Class = 4
	ClassNONE Class = 254
	ClassANY  Class = 255
)

var classNames = []struct {
	c    Class
	name string
}{{ClassIN, "IN"}, {ClassCH, "CH"}, {ClassHS, "HS"}, {ClassNONE, "NONE"}, {ClassANY, "ANY"}}

// String returns the mnemonic, and "CLASS42" for a class that has none.
func (c Class) String() string {
	for _, k := range classNames {
		if k.c == c {
			return k.name
		}
	}
	return "CLASS" + itoa(int(c))
}

// MarshalText implements [encoding.TextMarshaler].
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Class) UnmarshalText(b []byte) error {
	s := strings.ToUpper(string(b))
	for _, k := range classNames {
		if k.name == s {
			*c = k.c
			return nil
		}
	}
	if rest, ok := strings.CutPrefix(s, "CLASS"); ok {
		if n, err := strconv.ParseUint(rest, 10, 16); err == nil {
			*c = Class(n)
			return nil
		}
	}
	return fmt.Errorf("unknown class %q", b)
}

// RCode is the response code, with the upper bits of EDNS where there are any.
type RCode uint16

// The response codes that outcomes are made of.
const (
	RCodeNoError  RCode = 0
	RCodeFormErr  RCode = 1
	RCodeServFail RCode = 2
	RCodeNXDomain RCode = 3
	RCodeNotImp   RCode = 4
	RCodeRefused  RCode = 5
	RCodeBadVers  RCode = 16
)

var rcodeNames = []string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
	"NOTAUTH", "NOTZONE", "DSOTYPENI", "", "", "", "", "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME",
	"BADALG", "BADTRUNC", "BADCOOKIE",
}

// String returns the mnemonic, and "RCODE12" for a code that has none.
func (r RCode) String() string {
	if int(r) < len(rcodeNames) && rcodeNames[r] != "" {
		return rcodeNames[r]
	}
	return "RCODE" + itoa(int(r))
}

// MarshalText implements [encoding.TextMarshaler].
func (r RCode) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *RCode) UnmarshalText(b []byte) error {
	s := strings.ToUpper(string(b))
	for i, n := range rcodeNames {
		if n == s && n != "" {
			*r = RCode(i)
			return nil
		}
	}
	if rest, ok := strings.CutPrefix(s, "RCODE"); ok {
		if n, err := strconv.ParseUint(rest, 10, 12); err == nil {
			*r = RCode(n)
			return nil
		}
	}
	return fmt.Errorf("unknown rcode %q", b)
}

var edeNames = []string{
	"Other Error", "Unsupported DNSKEY Algorithm", "Unsupported DS Digest Type", "Stale Answer", "Forged Answer",
	"DNSSEC Indeterminate", "DNSSEC Bogus", "Signature Expired", "Signature Not Yet Valid", "DNSKEY Missing",
	"RRSIGs Missing", "No Zone Key Bit Set", "NSEC Missing", "Cached Error", "Not Ready", "Blocked", "Censored",
	"Filtered", "Prohibited", "Stale NXDOMAIN Answer", "Not Authoritative", "Not Supported",
	"No Reachable Authority", "Network Error", "Invalid Data", "Signature Expired before Valid", "Too Early",
	"Unsupported NSEC3 Iterations Value", "Unable to conform to policy", "Synthesized",
}

func edeName(code uint16) string {
	if int(code) < len(edeNames) {
		return edeNames[code]
	}
	return ""
}

package resolve

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Record is one resource record.
type Record struct {
	Name  string `json:"name"` // absolute, escaped
	Type  Type   `json:"type"`
	Class Class  `json:"class"`
	TTL   uint32 `json:"ttl"`  // seconds
	Data  Data   `json:"data"` // of the type that belongs to Type, or Raw
}

// String returns the record as a line of a zone file: "name ttl class type data".
func (r Record) String() string {
	return fmt.Sprintf("%s %d %s %s %s", r.Name, r.TTL, r.Class, r.Type, r.Data)
}

// UnmarshalJSON implements [json.Unmarshaler]: Data is read as what Type says.
func (r *Record) UnmarshalJSON(b []byte) error {
	type plain Record
	aux := struct {
		*plain
		Data json.RawMessage `json:"data"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(b, &aux); err != nil {
		return err
	}
	data, err := unmarshalData(r.Type, aux.Data)
	r.Data = data
	return err
}

func unmarshalData(t Type, b []byte) (Data, error) {
	if len(b) > 0 && b[0] == '"' {
		return decodeJSON[Raw](b)
	}
	switch t {
	case TypeA:
		return decodeJSON[A](b)
	case TypeAAAA:
		return decodeJSON[AAAA](b)
	case TypeCNAME:
		return decodeJSON[CNAME](b)
	case TypeNS:
		return decodeJSON[NS](b)
	case TypePTR:
		return decodeJSON[PTR](b)
	case TypeMX:
		return decodeJSON[MX](b)
	case TypeSOA:
		return decodeJSON[SOA](b)
	case TypeSRV:
		return decodeJSON[SRV](b)
	case TypeTXT:
		return decodeJSON[TXT](b)
	case TypeCAA:
		return decodeJSON[CAA](b)
	case TypeSVCB, TypeHTTPS:
		return decodeJSON[SVCB](b)
	}
	return nil, fmt.Errorf("resolve: no form for the data of type %s", t)
}

func decodeJSON[T Data](b []byte) (Data, error) {
	var v T
	err := json.Unmarshal(b, &v)
	return v, err
}

// Data is the data of a record: one of the types below. String returns it as in
// a zone file; every byte of it is printable ASCII.
type Data interface {
	String() string
	isData()
}

// A is an IPv4 address (RFC 1035).
type A struct {
	Addr netip.Addr `json:"addr"`
}

// AAAA is an IPv6 address (RFC 3596).
type AAAA struct {
	Addr netip.Addr `json:"addr"`
}

// CNAME says that the name is an alias (RFC 1035).
type CNAME struct {
	Target string `json:"target"`
}

// NS is a server of the zone (RFC 1035).
type NS struct {
	Host string `json:"host"`
}

// PTR is the name of an address (RFC 1035).
type PTR struct {
	Target string `json:"target"`
}

// MX is a mail exchanger (RFC 1035, RFC 7505).
type MX struct {
	Preference uint16 `json:"preference"`
	Exchange   string `json:"exchange"`
}

// SOA is the start of a zone (RFC 1035, RFC 2308). The intervals are seconds.
type SOA struct {
	MName   string `json:"mname"`
	RName   string `json:"rname"`
	Serial  uint32 `json:"serial"`
	Refresh uint32 `json:"refresh"`
	Retry   uint32 `json:"retry"`
	Expire  uint32 `json:"expire"`
	Minimum uint32 `json:"minimum"`
}

// SRV is the place of a service (RFC 2782).
type SRV struct {
	Priority uint16 `json:"priority"`
	Weight   uint16 `json:"weight"`
	Port     uint16 `json:"port"`
	Target   string `json:"target"`
}

// TXT is text (RFC 1035).
type TXT struct {
	Strings []string `json:"strings"` // escaped: \DDD, \" and \\
}

// Bytes returns the strings joined without anything between them, as SPF and
// others want them (RFC 7208 section 3.3), and not escaped: not for a terminal.
func (d TXT) Bytes() []byte {
	var b []byte
	for _, s := range d.Strings {
		b = appendUnescaped(b, s)
	}
	return b
}

// CAA says who may issue certificates (RFC 8659).
type CAA struct {
	Flags uint8  `json:"flags"` // 128: critical
	Tag   string `json:"tag"`   // escaped
	Value string `json:"value"` // escaped
}

// SVCB is the data of SVCB and HTTPS records (RFC 9460).
type SVCB struct {
	Priority uint16     `json:"priority"` // 0: alias
	Target   string     `json:"target"`
	Params   []SVCParam `json:"params,omitzero"`
}

// SVCParam is one parameter of a service binding.
type SVCParam struct {
	Key   uint16 `json:"key"`
	Name  string `json:"name"`           // "alpn", "port" …; "key65280" where there is no name
	Value string `json:"value,omitzero"` // as in a zone file, without quotes
}

// Raw is the data of a type or a form that this package has no fields for. Its
// text is that of RFC 3597: \# 4 0A000001.
type Raw []byte

func (A) isData()     {}
func (AAAA) isData()  {}
func (CNAME) isData() {}
func (NS) isData()    {}
func (PTR) isData()   {}
func (MX) isData()    {}
func (SOA) isData()   {}
func (SRV) isData()   {}
func (TXT) isData()   {}
func (CAA) isData()   {}
func (SVCB) isData()  {}
func (Raw) isData()   {}

// String returns the address.
func (d A) String() string { return d.Addr.String() }

// String returns the address.
func (d AAAA) String() string { return d.Addr.String() }

// String returns the target.
func (d CNAME) String() string { return d.Target }

// String returns the host.
func (d NS) String() string { return d.Host }

// String returns the target.
func (d PTR) String() string { return d.Target }

// String returns "10 mx.example."
func (d MX) String() string { return itoa(int(d.Preference)) + " " + d.Exchange }

// String returns the seven fields in order.
func (d SOA) String() string {
	return fmt.Sprintf("%s %s %d %d %d %d %d", d.MName, d.RName, d.Serial, d.Refresh, d.Retry, d.Expire, d.Minimum)
}

// String returns "priority weight port target".
func (d SRV) String() string {
	return fmt.Sprintf("%d %d %d %s", d.Priority, d.Weight, d.Port, d.Target)
}

// String returns the strings in quotes.
func (d TXT) String() string {
	var b strings.Builder
	for i, s := range d.Strings {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(`"` + s + `"`)
	}
	return b.String()
}

// String returns `0 issue "ca.example"`.
func (d CAA) String() string { return fmt.Sprintf(`%d %s "%s"`, d.Flags, d.Tag, d.Value) }

// String returns `1 svc.example. alpn="h2,h3" port=8443`.
func (d SVCB) String() string {
	var b strings.Builder
	b.WriteString(itoa(int(d.Priority)) + " " + d.Target)
	for _, p := range d.Params {
		b.WriteString(" " + p.Name)
		switch {
		case p.Value == "":
		case p.quoted():
			b.WriteString(`="` + p.Value + `"`)
		default:
			b.WriteString("=" + p.Value)
		}
	}
	return b.String()
}

// String returns the generic form of RFC 3597.
func (d Raw) String() string {
	s := `\# ` + strconv.Itoa(len(d))
	if len(d) > 0 {
		s += " " + strings.ToUpper(hex.EncodeToString(d))
	}
	return s
}

// MarshalText implements [encoding.TextMarshaler].
func (d Raw) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Raw) UnmarshalText(b []byte) error {
	f := strings.Fields(string(b))
	if len(f) < 2 || f[0] != `\#` {
		return fmt.Errorf("resolve: %q is not the data of an unknown type", b)
	}
	data, err := hex.DecodeString(strings.Join(f[2:], ""))
	if err != nil || f[1] != strconv.Itoa(len(data)) {
		return fmt.Errorf("resolve: %q is not the data of an unknown type", b)
	}
	*d = data
	return nil
}

// quoted reports whether a zone file has the value in quotes.
func (p SVCParam) quoted() bool { return p.Key == svcALPN || p.Key == svcDoHPath || p.Key > svcDoHPath }

// The keys of service parameters (RFC 9460 section 14.3.2, RFC 9461).
const (
	svcMandatory = 0
	svcALPN      = 1
	svcNoALPN    = 2
	svcPort      = 3
	svcIPv4Hint  = 4
	svcECH       = 5
	svcIPv6Hint  = 6
	svcDoHPath   = 7
)

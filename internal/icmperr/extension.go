package icmperr

// Label is one entry of an MPLS label stack (RFC 4950).
type Label struct {
	Label  uint32 `json:"label"` // 0 to 1048575
	TC     uint8  `json:"tc"`    // traffic class, 0 to 7
	Bottom bool   `json:"bottom"`
	TTL    uint8  `json:"ttl"`
}

// Extension is an object that a router added to its message (RFC 4884), other
// than an MPLS label stack. The classes are those of the IANA registry "ICMP
// Extension Object Classes": 2 tells of interfaces (RFC 5837).
type Extension struct {
	Class uint8  `json:"class"`
	Type  uint8  `json:"type"` // C-Type, of the class
	Data  []byte `json:"data"` // as on the wire
}

// The class and C-Type of the label stack of a packet as it came (RFC 4950).
const classMPLS, typeIncoming = 1, 1

// SetExtensions reads an RFC 4884 extension structure, beginning at its header,
// into Labels and Extensions. Anything malformed ends the reading; what was
// read until then stays. What is kept is copied.
func (e *Error) SetExtensions(b []byte) {
	e.Labels, e.Extensions = nil, nil
	if len(b) < 4 || b[0]>>4 != 2 {
		return
	}
	for b = b[4:]; len(b) >= 4; {
		n := int(b[0])<<8 | int(b[1])
		if n < 4 || n > len(b) {
			return
		}
		if b[2] == classMPLS && b[3] == typeIncoming {
			e.Labels = appendLabels(e.Labels, b[4:n])
		} else {
			e.Extensions = append(e.Extensions, Extension{Class: b[2], Type: b[3], Data: append([]byte{}, b[4:n]...)})
		}
		b = b[n:]
	}
}

func appendLabels(labels []Label, b []byte) []Label {
	for ; len(b) >= 4; b = b[4:] {
		labels = append(labels, Label{
			Label:  uint32(b[0])<<12 | uint32(b[1])<<4 | uint32(b[2])>>4,
			TC:     b[2] >> 1 & 7,
			Bottom: b[2]&1 == 1,
			TTL:    b[3],
		})
	}
	return labels
}

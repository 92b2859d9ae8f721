package resolve

import "time"

// maxChain bounds a CNAME chain, as resolvers do.
const maxChain = 16

// fill decides what a reply means, and fills the fields of the answer that are
// the reply's.
func (a *Answer) fill(m *message, transport Transport) Outcome {
	a.RCode = m.rcode
	a.Authoritative, a.RecursionDesired, a.RecursionAvailable = m.authoritative(), m.recurse(), m.available()
	a.AuthenticData, a.CheckingDisabled = m.authentic(), m.noCheck()
	a.Records, a.Authority, a.Additional = m.answers, m.authority, m.additional
	a.OPT, a.EDE, a.Defect = m.opt, m.ede, m.defect
	a.SOA, a.NegativeTTL = nil, 0

	canonical, found, loop := chain(m.answers, a.Question)
	a.Canonical = canonical
	soaTTL := a.authoritySOA()

	outcome := outcomeOf(m, a.SOA != nil, found, loop)
	switch {
	case m.truncated() && transport == TransportUDP:
		// A server that cuts within a record is no worse than one that cuts before it.
		outcome = OutcomeTruncated
	case m.defect != nil && m.defect.Section != SectionTrailer:
		outcome = OutcomeMalformed
	}
	if a.SOA != nil && (outcome == OutcomeNoData || outcome == OutcomeNXDomain) {
		a.NegativeTTL = time.Duration(min(soaTTL, a.SOA.Minimum)) * time.Second
	}
	return outcome
}

// authoritySOA keeps the SOA of the authority section and returns its TTL.
func (a *Answer) authoritySOA() uint32 {
	for _, r := range a.Authority {
		if soa, ok := r.Data.(SOA); ok {
			a.SOA = &soa
			return r.TTL
		}
	}
	return 0
}

func outcomeOf(m *message, soa, found, loop bool) Outcome {
	switch m.rcode {
	case RCodeNoError:
	case RCodeFormErr:
		return OutcomeFormErr
	case RCodeServFail:
		return OutcomeServFail
	case RCodeNXDomain:
		return OutcomeNXDomain
	case RCodeNotImp:
		return OutcomeNotImp
	case RCodeRefused:
		return OutcomeRefused
	default:
		return OutcomeOtherRCode
	}
	switch {
	case loop:
		return OutcomeCNAMELoop
	case found:
		return OutcomeAnswer
	case lame(m, soa):
		return OutcomeLame
	}
	return OutcomeNoData
}

// lame reports whether the server neither knows the zone nor recurses: it says
// so itself by clearing both bits, and what it sends is a referral or nothing.
func lame(m *message, soa bool) bool {
	if m.authoritative() || m.available() || len(m.answers) > 0 || soa {
		return false
	}
	for _, r := range m.authority {
		if r.Type == TypeNS {
			return true
		}
	}
	return len(m.additional) == 0
}

// chain follows CNAME records from the question's name and returns where they
// end, whether records of the type asked are there, and whether they loop.
func chain(answers []Record, q Question) (canonical string, found, loop bool) {
	canonical = q.Name
	for range maxChain {
		next := ""
		for _, r := range answers {
			if !sameName(r.Name, canonical) {
				continue
			}
			if r.Type == q.typ() || q.typ() == TypeANY {
				return canonical, true, false
			}
			if c, ok := r.Data.(CNAME); ok && next == "" {
				next = c.Target
			}
		}
		if next == "" {
			return canonical, false, false
		}
		canonical = next
	}
	return canonical, false, true
}

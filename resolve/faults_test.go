package resolve

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// fault is a server that does something, and what has to be said of it.
type fault struct {
	name   string
	client Client
	q      Question
	handle func(*asked) []reply
	want   string // "outcome RCODE edns | transport+edns outcome [mismatches] …"
	check  func(*testing.T, Answer)
}

const short = 300 * time.Millisecond // the timeout of attempts that have to run into it

func ok(a *asked) []reply { return a.say(0, rrA(a.name(), "192.0.2.1"), opt(0)) }

func withID(msg []byte, id uint16) []byte {
	msg = slices.Clone(msg)
	msg[0], msg[1] = byte(id>>8), byte(id)
	return msg
}

// wrongID is what comes from somebody who guesses.
func wrongID(a *asked) reply {
	return reply{msg: withID(a.msg(0, rrA(a.name(), "192.0.2.66")), a.header.ID+1)}
}

func onTCP(udp, tcp func(*asked) []reply) func(*asked) []reply {
	return func(a *asked) []reply {
		if a.network == "tcp" {
			return tcp(a)
		}
		return udp(a)
	}
}

func onEDNS(with, without func(*asked) []reply) func(*asked) []reply {
	return func(a *asked) []reply {
		if a.edns {
			return with(a)
		}
		return without(a)
	}
}

func silent(*asked) []reply { return nil }

func rcode(r RCode, parts ...any) func(*asked) []reply {
	return func(a *asked) []reply { return a.say(r, parts...) }
}

func cut(a *asked) []reply { return a.say(0, rrA(a.name(), "192.0.2.1"), truncated) }

func ns(zone, host string) dnsmessage.Resource {
	return rr(zone, &dnsmessage.NSResource{NS: dnsmessage.MustNewName(host)}, dnsmessage.TypeNS)
}

var faults = []fault{
	{name: "answer", handle: ok, want: "answer NOERROR supported | udp+ answer"},
	{name: "no EDNS asked", client: Client{NoEDNS: true}, handle: ok, want: "answer NOERROR unknown | udp answer"},
	{name: "EDNS ignored", handle: rcode(0, rrA("q.example.", "192.0.2.1")), want: "answer NOERROR ignored | udp+ answer"},
	{
		name:   "CNAME chain",
		handle: rcode(0, rrCNAME("b.example.", "c.example."), rrCNAME("q.example.", "B.example."), rrA("c.EXAMPLE.", "192.0.2.3"), rrA("z.example.", "192.0.2.9")),
		want:   "answer NOERROR ignored | udp+ answer",
		check: func(t *testing.T, a Answer) {
			if got := texts(a.Addrs()); !slices.Equal(got, []string{"192.0.2.3"}) || a.Canonical != "c.example." {
				t.Errorf("%v at %s", got, a.Canonical)
			}
		},
	},
	{name: "CNAME loop", handle: rcode(0, rrCNAME("q.example.", "b."), rrCNAME("b.", "q.example.")), want: "cname_loop NOERROR ignored | udp+ cname_loop"},
	{name: "CNAME to nowhere", handle: rcode(0, rrCNAME("q.example.", "b.")), want: "no_data NOERROR ignored | udp+ no_data"},
	{name: "records of others", handle: rcode(0, rrA("other.example.", "192.0.2.1")), want: "no_data NOERROR ignored | udp+ no_data"},
	{
		name: "no data", handle: rcode(0, soa("example.", 60)), want: "no_data NOERROR ignored | udp+ no_data",
		check: func(t *testing.T, a Answer) {
			if a.SOA == nil || a.SOA.RName != "admin.example." || a.NegativeTTL != time.Minute {
				t.Errorf("SOA %v, negative TTL %s", a.SOA, a.NegativeTTL)
			}
		},
	},
	{name: "no data, no SOA", handle: rcode(0), want: "no_data NOERROR ignored | udp+ no_data"},
	{
		name: "no such name", handle: rcode(RCodeNXDomain, soa("example.", 900)), want: "nx_domain NXDOMAIN ignored | udp+ nx_domain",
		check: func(t *testing.T, a Answer) {
			if a.NegativeTTL != 300*time.Second { // the TTL of the SOA record is less than its minimum
				t.Errorf("negative TTL %s", a.NegativeTTL)
			}
		},
	},
	{
		name:   "no such name behind an alias, no SOA",
		handle: rcode(RCodeNXDomain, rrCNAME("q.example.", "gone.example.")), want: "nx_domain NXDOMAIN ignored | udp+ nx_domain",
		check: func(t *testing.T, a Answer) {
			if a.SOA != nil || a.Canonical != "gone.example." || len(a.Records) != 1 {
				t.Errorf("%s, %v", a.Canonical, a.SOA)
			}
		},
	},
	{
		name:   "SERVFAIL with reasons",
		handle: rcode(RCodeServFail, opt(0, dnsmessage.Option{Code: 15, Data: []byte("\x00\x16no\x1b[31m way\x00")}, dnsmessage.Option{Code: 15, Data: []byte{0xff, 0xf0}})),
		want:   "serv_fail SERVFAIL supported | udp+ serv_fail",
		check: func(t *testing.T, a Answer) {
			want := []ExtendedError{{22, "No Reachable Authority", `no\027[31m way`}, {0xfff0, "", ""}}
			if diff := cmp.Diff(want, a.EDE); diff != "" {
				t.Error(diff)
			}
			if got := a.EDE[0].String(); got != `22 (No Reachable Authority): no\027[31m way` {
				t.Error(got)
			}
		},
	},
	{name: "REFUSED", handle: rcode(RCodeRefused), want: "refused REFUSED ignored | udp+ refused"},
	{name: "SERVFAIL without a question", handle: rcode(RCodeServFail, noQuestion), want: "serv_fail SERVFAIL ignored | udp+ serv_fail"},
	{name: "FORMERR to everything", handle: rcode(RCodeFormErr), want: "form_err FORMERR unknown | udp+ form_err, udp form_err"},
	{name: "FORMERR to EDNS", handle: onEDNS(rcode(RCodeFormErr, noQuestion), ok), want: "answer NOERROR rejected | udp+ form_err, udp answer"},
	{name: "NOTIMP to EDNS, SERVFAIL without", handle: onEDNS(rcode(RCodeNotImp), rcode(RCodeServFail)), want: "serv_fail SERVFAIL rejected | udp+ not_imp, udp serv_fail"},
	{name: "NOTIMP", client: Client{NoEDNS: true}, handle: rcode(RCodeNotImp), want: "not_imp NOTIMP unknown | udp not_imp"},
	{name: "BADVERS", handle: onEDNS(rcode(0, opt(1)), ok), want: "answer NOERROR rejected | udp+ other_rcode, udp answer"},
	{name: "FORMERR to EDNS, then silence", client: Client{Timeout: short}, handle: onEDNS(rcode(RCodeFormErr), silent), want: "form_err FORMERR unknown | udp+ form_err, udp timeout"},
	{name: "EDNS dropped", client: Client{Timeout: short, Attempts: 3}, handle: onEDNS(silent, ok), want: "answer NOERROR dropped | udp+ timeout, udp+ timeout, udp answer"},
	{name: "one packet lost", client: Client{Timeout: short, Attempts: 3}, handle: nth(1, ok), want: "answer NOERROR supported | udp+ timeout, udp+ answer"},
	{name: "YXDOMAIN", handle: rcode(6), want: "other_rcode YXDOMAIN ignored | udp+ other_rcode"},
	{name: "BADCOOKIE", handle: rcode(7, opt(1)), want: "other_rcode BADCOOKIE supported | udp+ other_rcode"},
	{name: "lame: a referral", handle: rcode(0, noRecursion, authority(ns("example.", "ns1.example.")), func(m *dnsmessage.Message) {
		m.Additionals = append(m.Additionals, rrA("ns1.example.", "192.0.2.53"))
	}), want: "lame NOERROR ignored | udp+ lame"},
	{name: "lame: nothing", handle: rcode(0, noRecursion), want: "lame NOERROR ignored | udp+ lame"},
	{name: "not lame: an authority", handle: rcode(0, noRecursion, func(m *dnsmessage.Message) { m.Authoritative = true }), want: "no_data NOERROR ignored | udp+ no_data"},
	{name: "silence", client: Client{Timeout: short, Attempts: 2}, handle: silent, want: "timeout - unknown | udp+ timeout, udp timeout"},
	{name: "only forgeries", client: Client{Timeout: short}, handle: func(a *asked) []reply {
		return slices.Repeat([]reply{wrongID(a)}, 6)
	}, want: "mismatch - unknown | udp+ mismatch [id id id id] 6"},
	{name: "a forgery first", handle: func(a *asked) []reply {
		return append([]reply{wrongID(a)}, ok(a)...)
	}, want: "answer NOERROR supported | udp+ answer [id] 1"},
	{name: "another question", handle: func(a *asked) []reply {
		other := func(change func(*dnsmessage.Question)) reply {
			return reply{msg: a.msg(0, func(m *dnsmessage.Message) { change(&m.Questions[0]) })}
		}
		return append([]reply{
			other(func(q *dnsmessage.Question) { q.Name = dnsmessage.MustNewName("r.example.") }),
			other(func(q *dnsmessage.Question) { q.Type = dnsmessage.TypeMX }),
			other(func(q *dnsmessage.Question) { q.Class = dnsmessage.ClassCHAOS }),
		}, ok(a)...)
	}, want: "answer NOERROR supported | udp+ answer [question question question] 3"},
	{name: "no question with NOERROR", handle: func(a *asked) []reply {
		return append(a.say(0, noQuestion), ok(a)...)
	}, want: "answer NOERROR supported | udp+ answer [question] 1"},
	{name: "an echo", handle: func(a *asked) []reply {
		return append([]reply{{msg: a.raw}}, ok(a)...)
	}, want: "answer NOERROR supported | udp+ answer [query] 1"},
	{name: "short junk", handle: func(a *asked) []reply {
		return append([]reply{{msg: []byte{}}, {msg: []byte{1}}, {msg: []byte{a.raw[0] ^ 1, a.raw[1], 3}}}, ok(a)...)
	}, want: "answer NOERROR supported | udp+ answer [short short short] 3"},
	{name: "case changed", q: Question{Name: "Q.eXample"}, handle: func(a *asked) []reply {
		return a.say(0, rrA("q.EXAMPLE.", "192.0.2.1"), func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("q.example.") })
	}, want: "answer NOERROR ignored | udp+ answer", check: func(t *testing.T, a Answer) {
		if len(a.Addrs()) != 1 {
			t.Error("no address")
		}
	}},
	{name: "less than a header", handle: func(a *asked) []reply { return []reply{{msg: a.raw[:7]}} }, want: "malformed - unknown | udp+ malformed", check: defect("header section, byte 7: shorter than a header")},
	{name: "cut within a record", handle: func(a *asked) []reply {
		msg := a.msg(0, rrA(a.name(), "192.0.2.1"), rrA(a.name(), "192.0.2.2"))
		return []reply{{msg: msg[:len(msg)-2]}}
	}, want: "malformed NOERROR unknown | udp+ malformed", check: defect("answer section, byte 55: the record's data runs over the end of the message")},
	{name: "compression loop", client: Client{Attempts: 2}, handle: onEDNS(func(a *asked) []reply {
		msg := a.msg(0, rrA(a.name(), "192.0.2.1"))
		return []reply{{msg: append(msg[:27], 0xc0, 27)}}
	}, ok), want: "answer NOERROR dropped | udp+ malformed, udp answer"},
	{name: "bytes behind the end", handle: func(a *asked) []reply { return []reply{{msg: append(a.msg(0, rrA(a.name(), "192.0.2.1")), 1, 2, 3)}} }, want: "answer NOERROR ignored | udp+ answer", check: defect("trailer section, byte 43: 3 bytes behind the last record")},
	{name: "truncated, TCP answers", handle: onTCP(cut, ok), want: "answer NOERROR supported | udp+ truncated, tcp+ answer"},
	{name: "truncated within a record, TCP answers", handle: onTCP(func(a *asked) []reply {
		msg := a.msg(0, rrA(a.name(), "192.0.2.1"), truncated)
		return []reply{{msg: msg[:len(msg)-3]}}
	}, ok), want: "answer NOERROR supported | udp+ truncated, tcp+ answer"},
	{name: "truncated, TCP silent", client: Client{Timeout: short, Attempts: 3}, handle: onTCP(cut, silent), want: "truncated NOERROR ignored | udp+ truncated, tcp+ timeout", check: func(t *testing.T, a Answer) {
		if len(a.Addrs()) != 1 {
			t.Error("what came over UDP is lost")
		}
	}},
	{name: "truncated, TCP closes", handle: onTCP(cut, func(a *asked) []reply {
		r := ok(a)
		r[0].short = 9
		return r
	}), want: "truncated NOERROR ignored | udp+ truncated, tcp+ closed"},
	{name: "truncated, TCP malformed", handle: onTCP(cut, func(a *asked) []reply { return []reply{{msg: a.msg(0)[:20]}} }), want: "truncated NOERROR ignored | udp+ truncated, tcp+ malformed", check: func(t *testing.T, a Answer) {
		if len(a.Addrs()) != 1 || a.Defect != nil || a.Attempts[1].Defect == nil {
			t.Errorf("%+v", a)
		}
	}},
	{name: "TCP forgery", client: Client{TCPOnly: true}, handle: func(a *asked) []reply { return append([]reply{wrongID(a)}, ok(a)...) }, want: "answer NOERROR supported | tcp+ answer [id] 1"},
	{name: "TCP and EDNS", client: Client{TCPOnly: true}, handle: onEDNS(rcode(RCodeFormErr), ok), want: "answer NOERROR rejected | tcp+ form_err, tcp answer"},
	{name: "TCP in pieces", client: Client{TCPOnly: true}, handle: func(a *asked) []reply {
		return a.say(0, func(m *dnsmessage.Message) {
			for i := range 3000 {
				m.Answers = append(m.Answers, rrA(a.name(), fmt.Sprintf("10.0.%d.%d", i/256, i%256)))
			}
		})
	}, want: "answer NOERROR ignored | tcp+ answer", check: func(t *testing.T, a Answer) {
		if n := len(a.Addrs()); n != 3000 {
			t.Errorf("%d addresses", n)
		}
	}},
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/ping"
)

// nodeHelp is what -N help prints.
const nodeHelp = `ping -6 -N <nodeinfo opt>
Help:
  help
Query:
  name
  ipv6
  ipv6-all
  ipv6-compatible
  ipv6-global
  ipv6-linklocal
  ipv6-sitelocal
  ipv4
  ipv4-all
Subject:
  subject-ipv6=addr
  subject-ipv4=addr
  subject-name=name
  subject-fqdn=name
`

// nodeQueries are the words of -N that ask.
var nodeQueries = map[string]ping.NodeQuery{
	"name":            {Question: ping.NodeName},
	"ipv6":            {Question: ping.NodeIPv6},
	"ipv6-all":        {Question: ping.NodeIPv6, Scope: ping.NodeAll},
	"ipv6-compatible": {Question: ping.NodeIPv6, Scope: ping.NodeCompatible},
	"ipv6-global":     {Question: ping.NodeIPv6, Scope: ping.NodeGlobal},
	"ipv6-linklocal":  {Question: ping.NodeIPv6, Scope: ping.NodeLinkLocal},
	"ipv6-sitelocal":  {Question: ping.NodeIPv6, Scope: ping.NodeSiteLocal},
	"ipv4":            {Question: ping.NodeIPv4},
	"ipv4-all":        {Question: ping.NodeIPv4, Scope: ping.NodeAll},
}

// nodeQuery puts the -N options together; of ipv6 several may be given.
func (s *settings) nodeQuery() error {
	if len(*s.nodeinfo) == 0 {
		return nil
	}
	s.node = &ping.NodeQuery{}
	subjects := 0
	for _, word := range *s.nodeinfo {
		kind, _, isSubject := strings.Cut(word, "=")
		q, isQuery := nodeQueries[word]
		switch {
		case isQuery && s.node.Question != ping.NodeNothing && s.node.Question != q.Question:
			return errors.New("-N: one question at a time: name, ipv6 or ipv4")
		case isQuery:
			s.node.Question = q.Question
			s.node.Scope |= q.Scope
		case isSubject && nodeSubjects[kind] != "":
			subjects++
		default:
			return fmt.Errorf("-N: no such query or subject: %q; -N help lists them", word)
		}
	}
	switch {
	case subjects > 1:
		return errors.New("-N: one subject at a time")
	case s.node.Question == ping.NodeNothing:
		return errors.New("-N: what is asked? name, ipv6, ipv4 …; -N help lists it")
	}
	return nil
}

// nodeSubjects are the words of -N that say whom it is about, and the family in
// which an address is looked for.
var nodeSubjects = map[string]string{"subject-ipv6": "ip6", "subject-ipv4": "ip4", "subject-name": "name", "subject-fqdn": "name"}

// nodeSubject looks up whom the query is about.
func (s *settings) nodeSubject(ctx context.Context) error {
	for _, word := range *s.nodeinfo {
		kind, subject, _ := strings.Cut(word, "=")
		switch family := nodeSubjects[kind]; family {
		case "":
		case "name":
			if s.node.Name = subject; subject == "" {
				return fmt.Errorf("-N %s: which name?", word)
			}
		default:
			found, err := net.DefaultResolver.LookupNetIP(ctx, family, subject)
			if err != nil {
				return fmt.Errorf("-N %s: %w", word, nameError(ctx, subject, family, err))
			}
			if s.node.Subject = found[0]; family == "ip4" {
				s.node.Subject = found[0].Unmap()
			}
		}
	}
	return nil
}

// nodeWords are what a node says of itself, as ping(8) has it.
func nodeWords(n *ping.NodeInfo) string {
	var words []string
	for _, name := range n.Names {
		words = append(words, " "+cli.Escape(name))
	}
	for _, a := range n.Addrs {
		words = append(words, " "+a.String())
	}
	switch {
	case n.Type != 0:
		words = append(words, fmt.Sprintf(" unknown qtype(0x%02x)", n.Type))
	case n.Malformed != "":
		words = append(words, " parse error ("+n.Malformed+")")
	}
	line := strings.Join(words, ",")
	if n.Truncated {
		line += " (truncated)"
	}
	switch n.Code {
	case 0:
	case 1:
		line += " refused"
	case 2:
		line += " unknown query"
	default:
		line += fmt.Sprintf(" code %d", n.Code)
	}
	return line + ";"
}

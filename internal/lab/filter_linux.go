package lab

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// Hook is where in the kernel a filter looks at packets.
type Hook uint8

// The hooks. Input and Output are what the host itself receives and sends,
// Forward is what passes through a router or a switch.
const (
	Input Hook = iota
	Forward
	Output
)

// filterTable is the nftables table of the rules that tests add.
const filterTable = "lab"

// Counter counts the packets that a rule has taken.
type Counter struct {
	node    *node
	family  nftables.TableFamily
	chain   string
	comment []byte
}

// Filter adds a rule behind the others of its hook and returns its counter,
// which shows whether the fault bites. The rules are in the table "inet lab"
// and act on both families.
func (h *Host) Filter(hook Hook, r Rule) *Counter {
	h.lab.t.Helper()
	return h.filter(nftables.TableFamilyINet, hook, r)
}

// Filter adds a rule for the frames that the switch forwards. Only Drop,
// Accept and Count are possible.
func (s *Switch) Filter(r Rule) *Counter {
	s.lab.t.Helper()
	return s.filter(nftables.TableFamilyBridge, Forward, r)
}

// ClearFilters removes every rule that Filter and Policy have added. Their
// counters cannot be read any more.
func (n *node) ClearFilters() {
	n.lab.t.Helper()
	err := n.nftables(func(c *nftables.Conn) error {
		tables, err := c.ListTables()
		for _, t := range tables {
			if t.Name == filterTable {
				c.DelTable(t)
			}
		}
		return err
	})
	n.lab.check(err, "clear filters of %s", n.name)
}

// Policy sets what happens to packets that no rule of the hook decides: Drop
// or Accept.
func (h *Host) Policy(hook Hook, a Action) {
	h.lab.t.Helper()
	policy := nftables.ChainPolicyAccept
	if a == Drop {
		policy = nftables.ChainPolicyDrop
	}
	err := h.nftables(func(c *nftables.Conn) error {
		chain := addChain(c, nftables.TableFamilyINet, hook)
		chain.Policy = &policy
		c.AddChain(chain)
		return nil
	})
	h.lab.check(err, "policy of %s", h.Name)
}

func (n *node) filter(family nftables.TableFamily, hook Hook, r Rule) *Counter {
	n.lab.t.Helper()
	n.rules++
	comment := userdata.AppendString(nil, userdata.TypeComment, fmt.Sprintf("lab %d", n.rules))
	families, err := r.families()
	n.lab.check(err, "filter of %s", n.name)
	var chain *nftables.Chain
	err = n.nftables(func(c *nftables.Conn) error {
		chain = addChain(c, family, hook)
		for _, f := range families {
			exprs, err := r.expressions(f, family == nftables.TableFamilyBridge)
			if err != nil {
				return err
			}
			c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: exprs, UserData: comment})
		}
		return nil
	})
	n.lab.check(err, "filter of %s: %+v", n.name, r)
	return &Counter{node: n, family: family, chain: chain.Name, comment: comment}
}

// addChain adds the base chain of the hook, which may be there already.
func addChain(c *nftables.Conn, family nftables.TableFamily, hook Hook) *nftables.Chain {
	t := c.AddTable(&nftables.Table{Name: filterTable, Family: family})
	return c.AddChain(&nftables.Chain{
		Name:     []string{"input", "forward", "output"}[hook],
		Table:    t,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  []*nftables.ChainHook{nftables.ChainHookInput, nftables.ChainHookForward, nftables.ChainHookOutput}[hook],
		Priority: nftables.ChainPriorityFilter,
	})
}

// nftables sends what fn prepares in one transaction.
func (n *node) nftables(fn func(*nftables.Conn) error) error {
	return n.inside(func() error {
		c := &nftables.Conn{} // its sockets are of this thread's namespace
		if err := fn(c); err != nil {
			return err
		}
		err := c.Flush()
		if errors.Is(err, unix.ENOENT) { // a kind of chain or expression
			return fmt.Errorf("%w (nf_tables): %w", errMissing, err)
		}
		return missing(err)
	})
}

// Packets returns how many packets the rule has taken.
func (c *Counter) Packets() int { c.node.lab.t.Helper(); n, _ := c.read(); return n }

// Bytes returns how many bytes, from the IP header on, these packets had.
func (c *Counter) Bytes() int { c.node.lab.t.Helper(); _, n := c.read(); return n }

func (c *Counter) read() (packets, octets int) {
	c.node.lab.t.Helper()
	found := false
	err := c.node.nftables(func(conn *nftables.Conn) error {
		t := &nftables.Table{Name: filterTable, Family: c.family}
		rules, err := conn.GetRules(t, &nftables.Chain{Name: c.chain, Table: t})
		for _, r := range rules {
			if !bytes.Equal(r.UserData, c.comment) {
				continue
			}
			found = true
			for _, e := range r.Exprs {
				if counter, ok := e.(*expr.Counter); ok {
					packets += int(counter.Packets)
					octets += int(counter.Bytes)
				}
			}
		}
		return err
	})
	if err == nil && !found {
		err = errors.New("the rule is gone")
	}
	c.node.lab.check(err, "counter on %s", c.node.name)
	return packets, octets
}

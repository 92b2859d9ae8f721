package lab

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// powerTable is the nftables table, in two families, that makes a host dead.
const powerTable = "power"

// PowerOff makes the host as good as switched off without a change of carrier
// at its neighbours: it hears nothing and says nothing, ARP included, and the
// other hosts forget its addresses, so that their next look-up fails.
func (h *Host) PowerOff() {
	h.lab.t.Helper()
	err := h.nftables(func(c *nftables.Conn) error {
		drop := []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
		inet := c.AddTable(&nftables.Table{Name: powerTable, Family: nftables.TableFamilyINet})
		chain := c.AddChain(&nftables.Chain{
			Name: "output", Table: inet, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFirst,
		})
		c.AddRule(&nftables.Rule{Table: inet, Chain: chain, Exprs: drop})
		netdev := c.AddTable(&nftables.Table{Name: powerTable, Family: nftables.TableFamilyNetdev})
		for _, p := range h.ports {
			if p.far == nil {
				continue // described, but not connected yet
			}
			chain := c.AddChain(&nftables.Chain{
				Name: p.Name, Table: netdev, Type: nftables.ChainTypeFilter, Device: p.Name,
				Hooknum: nftables.ChainHookIngress, Priority: nftables.ChainPriorityFirst,
			})
			c.AddRule(&nftables.Rule{Table: netdev, Chain: chain, Exprs: drop})
		}
		return nil
	})
	h.lab.check(err, "power off %s", h.Name)
	own := map[netip.Addr]bool{}
	for _, p := range h.ports {
		if p.far == nil {
			continue
		}
		addrs, err := h.addresses(p.Name)
		h.lab.check(err, "addresses of %s", h.Name)
		for _, a := range addrs {
			own[a] = true
		}
	}
	for _, other := range h.lab.hosts {
		err := other.forget(func(a netip.Addr) bool { return own[a] })
		h.lab.check(err, "%s forgets %s", other.Name, h.Name)
	}
}

// PowerOn undoes PowerOff.
func (h *Host) PowerOn() {
	h.lab.t.Helper()
	err := h.nftables(func(c *nftables.Conn) error {
		c.DelTable(&nftables.Table{Name: powerTable, Family: nftables.TableFamilyINet})
		c.DelTable(&nftables.Table{Name: powerTable, Family: nftables.TableFamilyNetdev})
		return nil
	})
	h.lab.check(err, "power on %s", h.Name)
}

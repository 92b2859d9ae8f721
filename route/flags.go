package route

import "github.com/netsonde/netsonde/internal/enum"

// Flags are the flags of a route (RTM_F_*) and of a next hop (RTNH_F_*), which
// share one space.
type Flags uint32

// The flags.
const (
	FlagDead          Flags = 1 << 0  // the interface is down: not used
	FlagPervasive     Flags = 1 << 1  // the gateway is looked up again
	FlagOnLink        Flags = 1 << 2  // the gateway is on the link, whatever the addresses say
	FlagOffload       Flags = 1 << 3  // the next hop is in hardware
	FlagLinkDown      Flags = 1 << 4  // the interface has no carrier
	FlagUnresolved    Flags = 1 << 5  // multicast routing
	FlagTrap          Flags = 1 << 6  // the next hop's packets come up from hardware
	FlagNotify        Flags = 1 << 8  //
	FlagCloned        Flags = 1 << 9  // made for one destination
	FlagEqualize      Flags = 1 << 10 //
	FlagPrefix        Flags = 1 << 11 // from a prefix of a router advertisement
	FlagLookupTable   Flags = 1 << 12 //
	FlagFIBMatch      Flags = 1 << 13 //
	FlagRouteOffload  Flags = 1 << 14 // the route is in hardware
	FlagRouteTrap     Flags = 1 << 15 // the route's packets come up from hardware
	FlagOffloadFailed Flags = 1 << 29 // the hardware refused the route
)

var flagNames = []string{
	"dead", "pervasive", "onlink", "offload", "linkdown", "unresolved", "trap", "", "notify", "cloned", "equalize",
	"prefix", "lookup_table", "fib_match", "rt_offload", "rt_trap",
	29: "rt_offload_failed",
}

// String returns "onlink|linkdown", in the order of the bits.
func (f Flags) String() string { return enum.Join(flagNames, f) }

// MarshalJSON returns an array of words.
func (f Flags) MarshalJSON() ([]byte, error) { return enum.MarshalWords(flagNames, f) }

// UnmarshalJSON reads an array of words.
func (f *Flags) UnmarshalJSON(b []byte) (err error) {
	*f, err = enum.UnmarshalWords[Flags](flagNames, "route flag", b)
	return err
}

// CacheFlags are what the kernel says of a route made for one destination
// (RTCF_*, linux/in_route.h).
type CacheFlags uint32

// The flags that current kernels set.
const (
	CacheNotify     CacheFlags = 1 << 16 //
	CacheRedirected CacheFlags = 1 << 18 // by an ICMP redirect
	CacheDoRedirect CacheFlags = 1 << 24 // senders are told of a better way
	CacheBroadcast  CacheFlags = 1 << 28 //
	CacheMulticast  CacheFlags = 1 << 29 //
	CacheReject     CacheFlags = 1 << 30 //
	CacheLocal      CacheFlags = 1 << 31 // delivered here
)

var cacheNames = []string{
	16: "notify", 17: "directdst", 18: "redirected", 19: "tproxy", 21: "fast", 22: "masq", 23: "snat",
	24: "doredirect", 26: "directsrc", 27: "dnat", 28: "broadcast", 29: "multicast", 30: "reject", 31: "local",
}

// String returns "broadcast|local", in the order of the bits.
func (f CacheFlags) String() string { return enum.Join(cacheNames, f) }

// MarshalJSON returns an array of words.
func (f CacheFlags) MarshalJSON() ([]byte, error) { return enum.MarshalWords(cacheNames, f) }

// UnmarshalJSON reads an array of words.
func (f *CacheFlags) UnmarshalJSON(b []byte) (err error) {
	*f, err = enum.UnmarshalWords[CacheFlags](cacheNames, "cache flag", b)
	return err
}

package link

import (
	"encoding"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text checks that a value and its word are each other's.
func text[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, want string, v T) {
	t.Helper()
	if got := fmt.Sprint(v); got != want {
		t.Errorf("%T: got %q, want %q", v, got, want)
	}
	var back T
	if err := P(&back).UnmarshalText([]byte(want)); err != nil || any(back) != any(v) {
		t.Errorf("%T: %q reads as %v, %v", v, want, back, err)
	}
	if err := P(&back).UnmarshalText([]byte("no such word")); err == nil {
		t.Errorf("%T: took nonsense", v)
	}
}

func TestWords(t *testing.T) {
	text(t, "lowerlayerdown", OperLowerLayerDown)
	text(t, "unknown", OperUnknown)
	text(t, "operstate(9)", OperState(9))
	text(t, "off", CarrierOff)
	text(t, "dormant", LinkModeDormant)
	text(t, "skb", XDPSkb)
	text(t, "ether", TypeEther)
	text(t, "none", TypeNone)
	text(t, "link_type(4711)", HardwareType(4711))
	text(t, "global", ScopeGlobal)
	text(t, "host", ScopeHost)
	text(t, "scope(77)", Scope(77))
	text(t, "kernel_ra", AddressProtoRA)
	text(t, "stable_secret", AddrGenStablePrivacy)
	text(t, "forwarding", PortForwarding)
	text(t, "on", SwitchOn)
	text(t, "8001.02:00:5e:10:00:01", BridgeID{0x80, 1, 2, 0, 0x5e, 0x10, 0, 1})
}

func TestFlagWords(t *testing.T) {
	f := FlagUp | FlagLowerUp | FlagRunning
	if got := f.String(); got != "UP|RUNNING|LOWER_UP" {
		t.Errorf("got %q", got)
	}
	b, err := json.Marshal(struct {
		F Flags
		A AddressFlags
	}{f, AddressPermanent | AddressStablePrivacy})
	if want := `{"F":["UP","RUNNING","LOWER_UP"],"A":["permanent","stable_privacy"]}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v; want %s", b, err, want)
	}
	sameJSON(t, f)
	sameJSON(t, AddressDADFailed|1<<20)
	if got := (AddressTentative | AddressDADFailed).String(); got != "dadfailed|tentative" {
		t.Errorf("got %q", got)
	}
}

func TestNamedSettings(t *testing.T) {
	s := make(IPv4Settings, len(ipv4Settings)+2)
	s[7], s[len(s)-1] = 2, 9
	if v, ok := s.Value("rp_filter"); v != 2 || !ok {
		t.Errorf("rp_filter: %d, %v", v, ok)
	}
	for _, name := range []string{"", "no_such", "#1"} {
		if v, ok := s.Value(name); ok {
			t.Errorf("%q: %d", name, v)
		}
	}
	if v, ok := s[:3].Value("rp_filter"); ok {
		t.Errorf("an old kernel's list: %d", v)
	}
	sameJSON(t, s)
	sameJSON(t, IPv6Settings{1, 64, 1500})
	for _, bad := range []string{`{"no_such":1}`, `{"#99999":1}`, `{"":1}`, `[1]`, `{"forwarding":"x"}`} {
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("took %s", bad)
		}
	}
	var got IPv4Settings
	if err := json.Unmarshal([]byte(`{"accept_redirects":1,"forwarding":1}`), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(IPv4Settings{1, 0, 0, 1}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestBadText(t *testing.T) {
	var id BridgeID
	for _, bad := range []string{"", "8000", "8000.", "8000.02:00:00:00:00", "xxxx.02:00:00:00:00:01", "80.02:00:00:00:00:00:01"} {
		if err := id.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/netsonde/netsonde/examples/internal/ifupdown"
	"github.com/netsonde/netsonde/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// The plan needs nothing but the file and the state. Its effects are tested with
// ifup.
func TestPlan(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "interfaces")
	for name, text := range map[string]string{
		"interfaces": "auto lo eth0\nno-auto-down lo\niface lo inet loopback\niface home inet static\n address 192.0.2.7/24\n gateway 192.0.2.1\n down true \x1b\n",
		"ifstate":    "lo=lo\neth0=home\neth9=gone\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	code := ifupdown.New("ifdown", false)(t.Context(), []string{"-n", "-a", "-i", file, "--state-dir", dir, "--no-scripts"}, nil, &stdout, &stderr)
	const want = "true \\x1b\nip route del default via 192.0.2.1 dev eth0\nip addr del 192.0.2.7/24 broadcast 192.0.2.255 dev eth0 label eth0\n" +
		"ip -4 addr flush dev eth0\nip link set dev eth0 down\n"
	if filepath.Separator == '/' && (code != 0 || stdout.String() != want || stderr.Len() > 0) {
		t.Errorf("exit code %d, printed %q and %q", code, stdout.String(), stderr.String())
	}
}

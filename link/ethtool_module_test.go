package link

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// modules are the memories in testdata, made for this test; what they decode to
// stands beside them, and what ethtool makes of them with the mini-tool.
func modules(t testing.TB) map[string]Module {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "ethtool", "module-*.json"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	list := map[string]Module{}
	for _, file := range files {
		var m Module
		b, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil {
			t.Fatal(file, err)
		}
		list[file] = m
	}
	return list
}

// plug puts a module into a card.
func plug(c *card, m Module) {
	c.eeprom = map[eepromPage][]byte{}
	for _, p := range m.Pages {
		c.eeprom[eepromPage{p.Address, p.Page, p.Bank, p.Offset}] = p.Data
	}
}

func TestModules(t *testing.T) {
	for file, want := range modules(t) {
		c := &card{}
		plug(c, want)
		got, err := c.device(true).Module(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			b, err := json.MarshalIndent(got, "", "\t")
			if err == nil {
				err = os.WriteFile(file, append(b, '\n'), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// A module read over ioctl(2), as one run of bytes, is the same.
func TestModuleIoctl(t *testing.T) {
	for file, want := range modules(t) {
		kind := uint32(2)
		var run []byte
		switch want.Type {
		case ModuleSFP:
			run = make([]byte, 512)
			copy(run, want.Pages[0].Data)
			copy(run[128:], want.Pages[1].Data)
			copy(run[256:], want.Pages[2].Data)
		case ModuleQSFP28:
			kind = 3
			run = make([]byte, 640)
			copy(run, want.Pages[0].Data)
			copy(run[128:], want.Pages[1].Data)
			copy(run[512:], want.Pages[2].Data)
		default:
			continue
		}
		c := &card{ioctls: map[uint32]func([]byte) error{
			ioctlModuleInfo: func(b []byte) error {
				host.PutUint32(b[4:], kind)
				host.PutUint32(b[8:], uint32(len(run)))
				return nil
			},
			ioctlModuleEEPROM: func(b []byte) error { copy(b[16:], run); return nil },
		}}
		got, err := c.device(false).Module(t.Context())
		got.Pages, want.Pages = nil, nil
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-netlink +ioctl):\n%s", file, err, diff)
		}
	}
}

func TestModuleRefused(t *testing.T) {
	c := &card{refused: map[uint8]error{msgModuleEEPROMGet: syscall.EPERM}}
	_, err := c.device(true).Module(t.Context())
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("%v", err)
	}
	if _, err := (&card{}).device(true).Module(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no cage: %v", err)
	}
}

func TestModuleBeyond(t *testing.T) {
	m := modules(t)[filepath.Join("testdata", "ethtool", "module-qsfp.json")]
	want := []string{"lane 4: received power (mW) 0.0005 is beyond the alarm limits 0.0354 and 3.467"}
	if diff := cmp.Diff(want, m.Beyond()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Copper, external calibration, and what is not known.
func TestModuleForms(t *testing.T) {
	sfp := slices.Clone([]byte(modules(t)[filepath.Join("testdata", "ethtool", "module-sfp.json")].Pages[0].Data))
	change := func(edit func([]byte)) Module {
		b := slices.Clone(sfp)
		edit(b)
		return decodeModule(modulePages{{Address: i2cMain, Data: b}, {Address: i2cDiagnostics, Data: make(Hex, 128)}})
	}
	if m := change(func(b []byte) { b[8], b[18] = 0x04, 3 }); m.Wavelength != 0 || !slices.Contains(m.Lengths, ModuleLength{"copper", 3}) {
		t.Errorf("copper: %+v", m)
	}
	if m := change(func(b []byte) { b[92] = 0x58 }); !m.ExternallyCalibrated || m.Temperature != nil {
		t.Errorf("external calibration: %+v", m)
	}
	if m := change(func(b []byte) { b[92] = 0 }); m.Temperature != nil || m.ExternallyCalibrated {
		t.Errorf("no diagnostics: %+v", m)
	}
	if m := change(func(b []byte) { b[0] = 0x77 }); m.Vendor != "" || m.Type.String() != "module(119)" || len(m.Pages) != 2 {
		t.Errorf("unknown type: %+v", m)
	}
	if m := change(func(b []byte) { b[3], b[36] = 0x80, 0x02 }); !slices.Equal(m.Compliance, Words{"10GBASE-ER", "25GBASE-SR"}) {
		t.Errorf("compliance %q", m.Compliance)
	}
	if m := change(func(b []byte) { b[12], b[66] = 255, 103 }); m.BitRate != 25750 {
		t.Errorf("bit rate %d", m.BitRate)
	}
}

// CMIS says what it measures and in which unit.
func TestModuleCMIS(t *testing.T) {
	m := modules(t)[filepath.Join("testdata", "ethtool", "module-cmis.json")]
	change := func(measured, scale byte) Module {
		pages := slices.Clone(m.Pages)
		pages[2].Data = slices.Clone(pages[2].Data)
		pages[2].Data[31], pages[2].Data[32] = measured, scale
		return decodeModule(pages)
	}
	if got := change(3, 0x0f); got.Lanes[0].Bias != 2*m.Lanes[0].Bias || got.Limits.Bias.HighAlarm != 2*m.Limits.Bias.HighAlarm || got.Temperature == nil {
		t.Errorf("doubled: %+v", got)
	}
	if got := change(2, 0); got.Lanes != nil || got.Temperature != nil || got.Voltage == nil {
		t.Errorf("not measured: %+v", got)
	}
	if got := decodeModule(m.Pages[:2]); got.Vendor != m.Vendor || got.Limits != nil || got.Temperature != nil {
		t.Errorf("flat: %+v", got)
	}
}

func FuzzModule(f *testing.F) {
	for _, m := range modules(f) {
		var run []byte
		for _, p := range m.Pages {
			run = append(run, p.Data...)
		}
		f.Add(run, uint32(1))
		f.Add(run, uint32(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, kind uint32) {
		pages := splitMemory(b, kind)
		if len(pages) > 3 { // those of CMIS
			pages[1].Offset, pages[2].Page, pages[3].Page = 128, 1, 0x11
		}
		m := decodeModule(pages)
		m.Beyond()
		if _, err := json.Marshal(m); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkDecodeModule(b *testing.B) {
	pages := modules(b)[filepath.Join("testdata", "ethtool", "module-cmis.json")].Pages
	for b.Loop() {
		decodeModule(pages)
	}
}

package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
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
		return DecodeModule(modulePages{{Address: i2cMain, Data: b}, {Address: i2cDiagnostics, Data: make(Hex, 128)}})
	}
	if m := change(func(b []byte) { b[8], b[18] = 0x04, 3 }); m.Wavelength != 0 || !slices.Contains(m.Lengths, ModuleLength{"copper", 3}) {
		t.Errorf("copper: %+v", m)
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

// External calibration: factors and offsets, a polynomial for the received power, and
// constants that lead nowhere (SFF-8472, 9.3).
func TestModuleCalibration(t *testing.T) {
	sfp := modules(t)[filepath.Join("testdata", "ethtool", "module-sfp.json")]
	a, d := slices.Clone(sfp.Pages[0].Data), make(Hex, 128)
	a[92] = 0x58
	put := func(at int, v uint16) { binary.BigEndian.PutUint16(d[at:], v) }
	factor := func(at int, v float32) { binary.BigEndian.PutUint32(d[at:], math.Float32bits(v)) }
	put(84, 0x0180) // temperature: 1.5, and 1 °C
	put(86, 256)
	put(88, 0x0100) // voltage: 1, and -0.1 V
	put(90, 0x10000-1000)
	put(76, 0x0080) // current: 0.5
	put(80, 0xffff) // sent power: too much
	factor(64, 1./4096)
	factor(68, 1)
	factor(72, 10)
	for at, v := range map[int]uint16{96: 16 << 8, 98: 34000, 100: 10000, 102: 0xffff, 104: 4096, 0: 0x7fff, 2: 0x8000} {
		put(at, v)
	}
	m := DecodeModule([]ModulePage{{Address: i2cMain, Data: a}, {Address: i2cDiagnostics, Data: d}})
	if *m.Temperature != 25 || *m.Voltage != 3.3 || m.Lanes[0].Bias != 10 || m.Lanes[0].TxPower != 6.5535 || m.Lanes[0].RxPower != 0.8202 ||
		m.Limits.Temperature.HighAlarm != 0x7fff/256. || m.Limits.Temperature.LowAlarm != -128 || !m.ExternallyCalibrated {
		t.Errorf("%v °C, %v V, %+v, %+v", *m.Temperature, *m.Voltage, m.Lanes, m.Limits)
	}
	factor(56, float32(math.NaN()))
	factor(60, float32(math.Inf(-1)))
	if m = DecodeModule(m.Pages); m.Lanes[0].RxPower != 0 {
		t.Errorf("no number: %v", m.Lanes[0].RxPower)
	}
}

// Each flag of each lane has a bit of its own.
func TestModuleFlags(t *testing.T) {
	flags := func(m Module) (set []string) {
		add := func(name string, of any) {
			v := reflect.ValueOf(of)
			for i := range v.NumField() {
				switch f := v.Field(i); {
				case f.Kind() == reflect.Bool && f.Bool():
					set = append(set, name+v.Type().Field(i).Name)
				case f.Kind() == reflect.Struct:
					for k := range f.NumField() {
						if f.Field(k).Bool() {
							set = append(set, name+v.Type().Field(i).Name+f.Type().Field(k).Name)
						}
					}
				}
			}
		}
		if m.Flags != nil {
			add("", *m.Flags)
		}
		for i, l := range m.Lanes {
			if l.Flags != nil {
				add(fmt.Sprint(i+1, " "), *l.Flags)
			}
		}
		return set
	}
	for name, places := range map[string]struct {
		page  int
		bytes []int
		want  int // flags
	}{"sfp": {2, []int{110, 112, 113, 116, 117}, 22}, "qsfp": {0, []int{3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14}, 80}, "cmis": {4, []int{7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}, 144}} {
		m := modules(t)[filepath.Join("testdata", "ethtool", "module-"+name+".json")]
		for i := range m.Pages {
			m.Pages[i].Data = slices.Clone(m.Pages[i].Data)
		}
		if name == "cmis" {
			copy(m.Pages[2].Data[29:], []byte{0x0f, 0x06, 0x03, 0x07})
		}
		seen := map[string]bool{}
		for _, at := range places.bytes {
			m.Pages[places.page].Data[at] = 0
		}
		for _, at := range places.bytes {
			for bit := range 8 {
				m.Pages[places.page].Data[at] = 1 << bit
				got := flags(DecodeModule(m.Pages))
				if len(got) > 1 || len(got) == 1 && seen[got[0]] {
					t.Errorf("%s: bit %d of byte %d is %q", name, bit, at, got)
				}
				for _, f := range got {
					seen[f] = true
				}
			}
			m.Pages[places.page].Data[at] = 0
		}
		if len(seen) != places.want {
			t.Errorf("%s: %d flags, want %d: %v", name, len(seen), places.want, seen)
		}
	}
}

// CMIS says what it measures and in which unit.
func TestModuleCMIS(t *testing.T) {
	m := modules(t)[filepath.Join("testdata", "ethtool", "module-cmis.json")]
	change := func(measured, scale byte) Module {
		pages := slices.Clone(m.Pages)
		pages[2].Data = slices.Clone(pages[2].Data)
		pages[2].Data[31], pages[2].Data[32] = measured, scale
		return DecodeModule(pages)
	}
	if got := change(3, 0x0f); got.Lanes[0].Bias != 2*m.Lanes[0].Bias || got.Limits.Bias.HighAlarm != 2*m.Limits.Bias.HighAlarm || got.Temperature == nil {
		t.Errorf("doubled: %+v", got)
	}
	if got := change(2, 0); got.Lanes != nil || got.Temperature != nil || got.Voltage == nil {
		t.Errorf("not measured: %+v", got)
	}
	if got := DecodeModule(m.Pages[:2]); got.Vendor != m.Vendor || got.Limits != nil || got.Temperature != nil {
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
		m := DecodeModule(pages)
		m.Beyond()
		if _, err := json.Marshal(m); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkDecodeModule(b *testing.B) {
	pages := modules(b)[filepath.Join("testdata", "ethtool", "module-cmis.json")].Pages
	for b.Loop() {
		DecodeModule(pages)
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/link"
)

// dump is part of a module's memory, asked for by the words behind -m IF.
type dump struct {
	raw, hex            bool
	address, bank, page uint8 // address 0: not said
	offset, length      uint32
	hasLength           bool

	text string // the answer
}

// parseDump reads these words; those that ask for nothing but the usual are no dump.
func (o *options) parseDump() error {
	d := &dump{}
	for words := o.words; len(words) > 0; words = words[2:] {
		if len(words) == 1 {
			return fmt.Errorf("no value for parameter '%s'", cli.Escape(words[0]))
		}
		if err := d.set(words[0], words[1]); err != nil {
			return err
		}
	}
	if d.raw && d.hex {
		return errors.New("hex and raw dump cannot be specified together")
	}
	if o.json && len(o.words) > 0 {
		return errors.New("--json has the pages of a module in any case: nothing is to follow the interface")
	}
	if d.raw || d.hex || d.page != 0 || d.bank != 0 || d.offset != 0 || d.hasLength {
		o.dump = d
	}
	return nil
}

func (d *dump) set(word, value string) (err error) {
	number := func(bits int) uint64 {
		v, parseErr := strconv.ParseUint(value, 0, bits)
		err = parseErr
		return v
	}
	switch word {
	case "raw", "hex":
		if value != "on" && value != "off" {
			return fmt.Errorf("%s is on or off, not '%s'", word, cli.Escape(value))
		}
		if word == "raw" {
			d.raw = value == "on"
		} else {
			d.hex = value == "on"
		}
	case "offset":
		d.offset = uint32(number(32))
	case "length":
		d.length, d.hasLength = uint32(number(32)), true
	case "page":
		d.page = uint8(number(8))
	case "bank":
		d.bank = uint8(number(8))
	case "i2c":
		d.address = uint8(number(8))
	default:
		return fmt.Errorf("unknown parameter '%s'", cli.Escape(word))
	}
	if err != nil {
		return fmt.Errorf("invalid value '%s' for parameter '%s'", cli.Escape(value), word)
	}
	return nil
}

// askModule asks for the module, or for the part of its memory that is wanted.
func askModule(ctx context.Context, o *options, d *link.Device, r *link.EthtoolReport) {
	if o.dump == nil {
		one(link.SectionModule, (*link.Device).Module, func(r *link.EthtoolReport) **link.Module { return &r.Module })(ctx, o, d, r)
		return
	}
	err := o.dump.read(ctx, d)
	fail(r, link.SectionModule, err)
}

// read reads a page, or with raw and hex, where no page is named, the memory as one run.
func (d *dump) read(ctx context.Context, device *link.Device) error {
	var b []byte
	var err error
	offset := d.offset
	if (d.raw || d.hex) && d.address == 0 && d.bank == 0 && d.page == 0 {
		b, err = device.ModuleMemory(ctx)
		switch {
		case err != nil:
		case offset > uint32(len(b)):
			err = syscall.EINVAL
		default:
			if b = b[offset:]; d.hasLength {
				b = b[:min(d.length, uint32(len(b)))]
			}
		}
	} else {
		if offset == 0 && d.page != 0 {
			offset = 128
		}
		b, err = device.ModulePage(ctx, cmp.Or(d.address, 0x50), d.bank, d.page, offset, cmp.Or(d.length, 128))
	}
	switch {
	case err != nil:
	case d.raw:
		d.text = string(b)
	default:
		d.text = hexDump(b, int(offset))
	}
	return err
}

// hexDump is memory from an offset on, sixteen bytes to a line.
func hexDump(b []byte, offset int) string {
	var text strings.Builder
	text.WriteString("Offset\t\tValues\n------\t\t------")
	for i, v := range b {
		if i%16 == 0 {
			fmt.Fprintf(&text, "\n0x%04x:\t\t", offset+i)
		}
		fmt.Fprintf(&text, "%02x ", v)
	}
	text.WriteString("\n")
	return text.String()
}

package utmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// appendWide appends a record of 400 bytes, as glibc writes it on arm64.
func appendWide(b []byte, r Record) []byte {
	var rec [400]byte
	copy(rec[:336], r.Append(nil)[:336])
	binary.NativeEndian.PutUint64(rec[336:], uint64(r.Session))
	binary.NativeEndian.PutUint64(rec[344:], uint64(r.Time.Unix()))
	binary.NativeEndian.PutUint64(rec[352:], uint64(r.Time.Nanosecond()/1000))
	copy(rec[360:], r.Addr.AsSlice())
	return append(b, rec[:]...)
}

// A file shows which layout it has, from the first record on.
func TestWideRecords(t *testing.T) {
	for n := range history {
		want := slices.Clone(history[:n+1])
		want[n].Time = time.Unix(5e9, 7000) // in the year 2128
		want[n].Session, want[n].Host = 9, "host"
		var b []byte
		for _, r := range want {
			b = appendWide(b, r)
		}
		got, corrupt := parseAll(b)
		if diff := cmp.Diff(want, got, addresses); diff != "" || corrupt != nil {
			t.Fatalf("%d records: %v (-want +got):\n%s", n+1, corrupt, diff)
		}
		b = nil
		for _, r := range history[:n+1] {
			b = r.Append(b)
		}
		if got, _ := parseAll(b); len(got) != n+1 {
			t.Fatalf("%d records: read %d", n+1, len(got))
		}
	}
	b := appendWide(nil, Record{Type: BootTime, Time: start})
	binary.NativeEndian.PutUint64(b[344:], lastSecond+1)
	if got, corrupt := parseAll(append(appendWide(nil, Record{Type: BootTime, Time: start}), b...)); len(got) != 1 || len(corrupt) != 1 {
		t.Errorf("the year 10000: %v, %v", got, corrupt)
	}
}

// Times of 32 bits have no sign.
func TestAfter2038(t *testing.T) {
	late := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	got, _ := parseAll(Record{Type: BootTime, Time: late}.Append(nil))
	if len(got) != 1 || !got[0].Time.Equal(late) {
		t.Errorf("%v is read as %v", late, got)
	}
}

// Bytes that were lost or added anywhere cost the records there, not the rest.
func TestResynchronises(t *testing.T) {
	var b []byte
	records := slices.DeleteFunc(slices.Clone(history), func(r Record) bool { return r.Type == Empty })
	for i, r := range records {
		r.PID = int32(i + 1)
		records[i] = r
		b = r.Append(b)
	}
	cut := 7 * Size
	for name, tt := range map[string]struct {
		file []byte
		gone []int // records
	}{
		"5 bytes more":   {slices.Insert(slices.Clone(b), cut, 1, 2, 3, 4, 5), nil},
		"3 bytes less":   {slices.Delete(slices.Clone(b), cut, cut+3), []int{7}},
		"torn":           {slices.Delete(slices.Clone(b), cut+100, cut+Size), []int{7}},
		"no beginning":   {b[50:], []int{0}},
		"no end":         {b[:len(b)-50], []int{len(records) - 1}},
		"text in front":  {append([]byte("not a record\n"), b...), nil},
		"text behind":    {append(slices.Clone(b), "not a record\n"...), nil},
		"zeros for one":  {slices.Concat(b[:cut], make([]byte, Size), b[cut+Size:]), []int{7}},
		"ones for three": {slices.Concat(b[:cut], bytes.Repeat([]byte{255}, 3*Size), b[cut+3*Size:]), []int{7, 8, 9}},
	} {
		var want []Record
		for i, r := range records {
			if !slices.Contains(tt.gone, i) {
				want = append(want, r)
			}
		}
		for i, from := range []func(*File, func(Corrupt)) iter.Seq2[Record, error]{(*File).Backward, (*File).Forward} {
			if i == 1 && name == "torn" || i == 0 && name == "3 bytes less" {
				continue // with the end of its neighbour it looks like a whole one
			}
			got, corrupt := parseFile(tt.file, from)
			slices.SortFunc(got, func(a, b Record) int { return int(a.PID - b.PID) })
			got = slices.DeleteFunc(got, func(r Record) bool { return r.Type == Empty })
			if diff := cmp.Diff(want, got, addresses); diff != "" || len(corrupt) != 1 && name != "zeros for one" {
				t.Errorf("%s: %v (-want +got):\n%s", name, corrupt, diff)
			}
		}
	}
}

// endless is a file of a record again and again, that counts what is read.
type endless struct {
	record []byte
	read   int64
}

func (e *endless) ReadAt(b []byte, at int64) (int, error) {
	for i := range b {
		b[i] = e.record[(at+int64(i))%int64(len(e.record))]
	}
	e.read += int64(len(b))
	return len(b), nil
}

// Of a large file no more is read than is asked for.
func TestReadsNoMoreThanAskedFor(t *testing.T) {
	e := &endless{record: Record{Type: UserProcess, User: "ann", Line: "pts/0", Time: start}.Append(nil)}
	f, err := NewFile(e, 1<<40/Size*Size)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s, err := range Sessions(f.Backward(nil), nil) {
		if err != nil || s.User != "ann" {
			t.Fatal(s, err)
		}
		if n++; n == 1000 {
			break
		}
	}
	if _, ok, err := f.First(); !ok || err != nil || e.read > 1000*Size+3*bufferSize {
		t.Errorf("%d bytes read for %d sessions, %v", e.read, n, err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "wtmp")
	if err := os.WriteFile(path, Record{Type: BootTime, Time: start}.Append(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r, ok, err := f.First(); !ok || err != nil || r.Type != BootTime || time.Since(f.Changed()) > time.Hour {
		t.Errorf("%v, %v, %v, changed %v", r, ok, err, f.Changed())
	}
	if _, err := Open(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if f, err := Open(dir); err == nil {
		t.Errorf("a folder: %v", f)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	for r, err := range f.Backward(nil) {
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off meanwhile: %v, %v", r, err)
		}
	}
}

// What is no file, such as a pipe, can be read as well.
func TestOpenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.Write(Record{Type: BootTime, Time: start}.Append(nil)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	name := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, err := os.Stat(name); err != nil {
		t.Skip("needs /dev/fd")
	}
	f, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r, ok, err := f.First(); !ok || err != nil || r.Type != BootTime {
		t.Errorf("%v, %v, %v", r, ok, err)
	}
}

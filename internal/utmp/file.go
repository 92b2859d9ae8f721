package utmp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"
)

// File reads the records of a file.
type File struct {
	r       io.ReaderAt
	size    int64
	layout  *layout
	doubted bool // the layout is not known to be right
	closer  io.Closer
	changed time.Time
}

// maxStream bounds what is kept of a file that cannot be read from its end.
const maxStream = 64 << 20

// Open opens a file as it is now; records that are added later are not read.
// What is not a regular file, such as a pipe, is read to its end, up to 64 MiB.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if info.Mode().IsRegular() {
		file, err := NewFile(f, info.Size())
		if err != nil {
			f.Close()
			return nil, err
		}
		file.closer, file.changed = f, info.ModTime()
		return file, nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxStream+1))
	if err == nil && len(b) > maxStream {
		err = &os.PathError{Op: "read", Path: path, Err: errors.New("more than 64 MiB that are not a file")}
	}
	if err != nil {
		return nil, err
	}
	file, err := NewFile(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		file.changed = info.ModTime()
	}
	return file, err
}

// NewFile reads the first bytes of r for the layout of its records.
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size, layout: &compact}
	head := make([]byte, min(size, int64(8*wide.size)))
	if _, err := r.ReadAt(head, 0); err != nil && !(errors.Is(err, io.EOF) && len(head) == 0) {
		return nil, err
	}
	if score(head, &wide) > score(head, &compact) {
		f.layout = &wide
	}
	return f, nil
}

// score is how many of the bytes can be records of a layout.
func score(b []byte, l *layout) (n int) {
	f := &File{r: bytes.NewReader(b), size: int64(len(b)), layout: l, doubted: true}
	for r := range f.Forward(nil) {
		if r.Type != Empty {
			n += l.size
		}
	}
	return n
}

// Close closes the file that Open opened.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Changed is when the file was last changed; zero: not known.
func (f *File) Changed() time.Time { return f.changed }

// First returns the first record; false when there is none.
func (f *File) First() (r Record, ok bool, err error) {
	for r, err := range f.Forward(nil) {
		return r, err == nil, err
	}
	return r, false, nil
}

// Forward yields the records in the order of the file. What cannot be a record
// is skipped, up to the next that looks like one, and told to corrupt, unless
// that is nil. A pair is a record and nil, or a zero Record and an error of
// reading, after which it stops.
func (f *File) Forward(corrupt func(Corrupt)) iter.Seq2[Record, error] {
	return f.records(false, corrupt)
}

// Backward is Forward from the end of the file.
func (f *File) Backward(corrupt func(Corrupt)) iter.Seq2[Record, error] {
	return f.records(true, corrupt)
}

// walker goes through a file from one of its ends.
type walker struct {
	*File
	backward bool
	done     int64 // bytes that were looked at
	bad      int64 // the last of them that are no record
	reason   string
	buf      []byte // a part of the file
	start    int64  // where it begins
}

// bufferSize is how much of a file is in memory.
const bufferSize = 64 << 10

func (f *File) records(backward bool, corrupt func(Corrupt)) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		w := walker{File: f, backward: backward}
		size := int64(f.layout.size)
		torn := backward && f.size%size != 0 // the end need not be that of a record
		for f.size-w.done >= size {
			b, err := w.next()
			if err != nil {
				yield(Record{}, err)
				return
			}
			if w.bad > 0 && !likely(b) {
				w.skip(1, "")
				continue
			}
			r, why := f.layout.parse(b)
			if why == "" && (torn || w.doubted || w.bad > 0) && !(likely(b) && f.layout.strict(b)) {
				why = "it does not look like one"
			}
			if torn = false; why != "" {
				w.skip(1, why)
				continue
			}
			w.tell(corrupt)
			if !yield(r, nil) {
				return
			}
			w.done += size
		}
		if rest := f.size - w.done; rest > 0 {
			w.skip(rest, fmt.Sprintf("only %d of %d bytes", rest, size))
		}
		w.tell(corrupt)
	}
}

func (w *walker) skip(n int64, why string) {
	if w.bad == 0 {
		w.reason = why
	}
	w.done, w.bad = w.done+n, w.bad+n
}

// tell reports what was skipped.
func (w *walker) tell(corrupt func(Corrupt)) {
	if w.bad > 0 && corrupt != nil {
		c := Corrupt{Offset: w.done - w.bad, Length: w.bad, Reason: w.reason}
		if w.backward {
			c.Offset = w.size - w.done
		}
		corrupt(c)
	}
	w.bad = 0
}

// next returns the bytes of the next record.
func (w *walker) next() ([]byte, error) {
	size := int64(w.layout.size)
	at := w.done
	if w.backward {
		at = w.size - w.done - size
	}
	if at < w.start || at+size > w.start+int64(len(w.buf)) {
		w.start = at
		if w.backward {
			w.start = max(0, at+size-bufferSize)
		}
		if w.buf == nil {
			w.buf = make([]byte, min(bufferSize, w.size))
		}
		w.buf = w.buf[:min(int64(cap(w.buf)), w.size-w.start)]
		if n, err := w.r.ReadAt(w.buf, w.start); n < len(w.buf) {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the file became shorter: %w", io.ErrUnexpectedEOF)
			}
			return nil, err
		}
	}
	return w.buf[at-w.start : at-w.start+size], nil
}

package main

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/netsonde/netsonde/examples/internal/cli"
	"github.com/netsonde/netsonde/internal/utmp"
)

// records are those of the file, without logins whose process is gone from the
// list of who is logged in now, and an error when ctx ends.
func (o *options) records(ctx context.Context, file *utmp.File) iter.Seq2[utmp.Record, error] {
	corrupt := func(c utmp.Corrupt) { o.Warn("%s: %v", o.file, c) }
	return func(yield func(utmp.Record, error) bool) {
		for r, err := range file.Forward(corrupt) {
			if err == nil && ctx.Err() != nil {
				r, err = utmp.Record{}, context.Cause(ctx)
			}
			if err == nil && o.file == systemFile && user(r) && !utmp.Running(r) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (o *options) printJSON(records iter.Seq2[utmp.Record, error], line string) error {
	list := []utmp.Record{}
	for r, err := range records {
		if err != nil {
			return err
		}
		if o.shown(r, line) {
			list = append(list, r)
		}
	}
	return cli.PrintJSON(o.Stdout, list)
}

// counted writes the names of users and how many they are.
func (o *options) counted(records iter.Seq2[utmp.Record, error]) error {
	var names []string
	for r, err := range records {
		if err != nil {
			return err
		}
		if user(r) {
			names = append(names, cli.Escape(r.User))
		}
	}
	_, err := fmt.Fprintf(o.Stdout, "%s\n# users=%d\n", strings.Join(names, " "), len(names))
	return err
}

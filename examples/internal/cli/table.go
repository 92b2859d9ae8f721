package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Cell is a table cell with a colour. Text is escaped, Paint comes after.
type Cell struct {
	Text  string
	Paint func(string) string
}

// Table collects rows and prints them in columns, two spaces apart. Cells are
// escaped, and never cut. The zero value, with an Out, is ready.
type Table struct {
	Out   io.Writer
	Right []int // columns that are set to the right, from 0: numbers

	rows   [][]Cell
	widths []int
}

// Row adds a row; a heading is the first row. A cell is a [Cell], or anything
// that fmt prints.
func (t *Table) Row(cells ...any) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		if cell, ok := c.(Cell); ok {
			row[i] = cell
		} else {
			row[i].Text = fmt.Sprint(c)
		}
		row[i].Text = Escape(row[i].Text)
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(row[i].Text))
	}
	t.rows = append(t.rows, row)
}

// Flush prints the rows in one write and forgets them.
func (t *Table) Flush() error {
	var b strings.Builder
	for _, row := range t.rows {
		t.writeRow(&b, row)
	}
	t.rows, t.widths = nil, nil
	_, err := io.WriteString(t.Out, b.String())
	return err
}

func (t *Table) writeRow(b *strings.Builder, row []Cell) {
	gap := 0
	for i, c := range row {
		pad := t.widths[i] - utf8.RuneCountInString(c.Text)
		if slices.Contains(t.Right, i) {
			gap, pad = gap+pad, 0
		}
		if c.Text != "" { // no blanks at the end of a line
			b.WriteString(strings.Repeat(" ", gap))
			gap = 0
			if c.Paint != nil {
				b.WriteString(c.Paint(c.Text))
			} else {
				b.WriteString(c.Text)
			}
		}
		gap += pad + 2
	}
	b.WriteByte('\n')
}

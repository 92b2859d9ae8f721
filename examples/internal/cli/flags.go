package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Seconds defines a duration as the classic tools take it, in seconds with a
// fraction ("0.2"), or as Go writes it ("200ms").
func (t *Tool) Seconds(name, shorthand string, value time.Duration, usage string) *time.Duration {
	d := value
	t.Flags.VarP((*seconds)(&d), name, shorthand, usage)
	return &d
}

type seconds time.Duration

func (s *seconds) Set(text string) error {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > float64(math.MaxInt64)/float64(time.Second) {
			return errors.New("out of range")
		}
		*s = seconds(math.Round(f * float64(time.Second)))
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New(`want seconds such as "0.2", or "200ms"`)
	}
	*s = seconds(d)
	return nil
}

func (s *seconds) String() string {
	return strconv.FormatFloat(time.Duration(*s).Seconds(), 'g', -1, 64)
}
func (s *seconds) Type() string { return "seconds" }

// rewrite turns what pflag does not know, by the Tool's settings, into long flags.
func (t *Tool) rewrite(args []string) []string {
	if !t.LongDash && t.Digits == "" {
		return args
	}
	var out []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...)
		}
		arg = t.rewriteOne(arg)
		out = append(out, arg)
		if t.wantsValue(arg) && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out
}

func (t *Tool) rewriteOne(arg string) string {
	word, ok := strings.CutPrefix(arg, "-")
	if !ok || word == "" || word[0] == '-' {
		return arg
	}
	if _, err := strconv.ParseUint(word, 10, 31); err == nil && t.Digits != "" {
		return "--" + t.Digits + "=" + word
	}
	name, _, _ := strings.Cut(word, "=")
	if t.LongDash && len(name) > 1 && t.Flags.Lookup(name) != nil {
		return "-" + arg
	}
	return arg
}

// wantsValue reports whether the argument after arg is the value of a flag.
func (t *Tool) wantsValue(arg string) bool {
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		f := t.Flags.Lookup(name)
		return f != nil && f.NoOptDefVal == ""
	}
	cluster, ok := strings.CutPrefix(arg, "-")
	if !ok {
		return false
	}
	for i := range len(cluster) {
		f := t.Flags.ShorthandLookup(cluster[i : i+1])
		if f == nil {
			return false
		}
		if f.NoOptDefVal == "" {
			return i == len(cluster)-1
		}
	}
	return false
}

// usageError words pflag's errors as the rest of the house words its own.
func usageError(err error) string {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if e.GetSpecifiedShortnames() != "" {
			return "unknown option -" + e.GetSpecifiedName()
		}
		return "unknown option --" + e.GetSpecifiedName()
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return "option " + dashed(e.GetFlag()) + " needs a value"
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Sprintf("option %s: cannot use %q: %s", dashed(e.GetFlag()), e.GetValue(), reason(e.Unwrap()))
	}
	return err.Error()
}

func dashed(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand + "/--" + f.Name
	}
	return "--" + f.Name
}

// reason drops the function name from strconv's errors.
func reason(err error) string {
	if e, ok := errors.AsType[*strconv.NumError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

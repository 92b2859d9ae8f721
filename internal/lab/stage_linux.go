package lab

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Stage stands in for a test where a program that is no test uses the lab. The
// zero value is ready.
type Stage struct{ cleanups []func() }

// stageFailure is what a Stage panics with; Play turns it into an error.
type stageFailure struct{ error }

// Play runs fn with the stage, clears the stage and returns fn's error, or the
// reason why the lab could not go on.
func Play(fn func(*Stage) error) (err error) {
	s := &Stage{}
	defer func() {
		for _, f := range slices.Backward(s.cleanups) {
			f()
		}
	}()
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case stageFailure:
			err = failure.error
		default:
			panic(failure)
		}
	}()
	return fn(s)
}

// Helper does nothing.
func (s *Stage) Helper() {}

// Cleanup registers what is to be undone when the play is over.
func (s *Stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// Skip ends the play.
func (s *Stage) Skip(args ...any) { panic(stageFailure{errors.New(fmt.Sprint(args...))}) }

// Skipf ends the play.
func (s *Stage) Skipf(format string, args ...any) { panic(stageFailure{fmt.Errorf(format, args...)}) }

// Fatal ends the play.
func (s *Stage) Fatal(args ...any) { s.Skip(args...) }

// Fatalf ends the play.
func (s *Stage) Fatalf(format string, args ...any) { s.Skipf(format, args...) }

// Errorf ends the play.
func (s *Stage) Errorf(format string, args ...any) { s.Skipf(format, args...) }

// TempDir returns a directory that is removed when the play is over.
func (s *Stage) TempDir() string {
	dir, err := os.MkdirTemp("", "netsonde")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

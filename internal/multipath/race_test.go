//go:build race

package multipath_test

// fewer networks are explored under the race detector, which makes them take
// ten times as long: there is one goroutine.
const fewer = 8

//go:build !unix && !windows

package cli

func terminal(uintptr) (width int, ok bool) { return 0, false }

func noReader(error) bool { return false }

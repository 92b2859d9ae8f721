//go:build !race

package multipath_test

const fewer = 1

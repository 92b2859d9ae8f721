//go:build !linux

package diagnose

func (t *tools) namespace(o Options) int { return o.NetNS }

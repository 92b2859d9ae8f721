package ping

import "time"

// clocks is one reading of the wall clock and the monotonic clock, in ns.
type clocks struct{ real, mono int64 }

// stepSlack is how far the two clocks may run apart during a probe without a
// step: the reading of both takes time, and NTP slews by up to 500 ppm.
func stepSlack(elapsed int64) int64 { return 20_000 + elapsed/1000 }

// roundTrip computes the round-trip time of s from the kernel's time of
// receiving rx (0 is not known) and the clocks now. Kernel stamps are of the
// wall clock, so they count only if that was not set since the probe was sent;
// the monotonic clock is the upper bound in every case.
func roundTrip(s *slot, rx int64, now clocks) (time.Duration, StampSource) {
	elapsed := max(0, now.mono-s.mono)
	slack := stepSlack(elapsed)
	if step := now.real - s.real - elapsed; step < -slack || step > slack {
		return time.Duration(elapsed), StampUser
	}
	try := func(from, to int64) (time.Duration, bool) {
		d := to - from
		return time.Duration(d), from != 0 && to != 0 && d >= 0 && d <= elapsed+slack
	}
	if d, ok := try(s.tx, rx); ok {
		return d, StampKernel
	}
	if d, ok := try(s.real, rx); ok {
		return d, StampKernelRX
	}
	if d, ok := try(s.tx, now.real); ok {
		return d, StampKernelTX
	}
	return time.Duration(elapsed), StampUser
}

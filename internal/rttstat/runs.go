package rttstat

// Runs finds runs of lost probes. Outcomes come out of order, a reply before
// the timeout of an earlier probe, so the last 256 are kept until all before
// them are known. The zero value is ready.
type Runs struct {
	Bursts  uint64 // runs of probes lost one after the other, single losses included
	Longest uint64 // probes in the longest of them

	next  uint64 // first number that is not known
	known [4]uint64
	lost  [4]uint64
	run   uint64
}

const window = 256

// Add takes the outcome of probe seq, from 1 on, into account.
func (r *Runs) Add(seq uint64, lost bool) {
	r.next = max(r.next, 1)
	if seq < r.next {
		return
	}
	if seq >= r.next+2*window { // a gap: nothing in it is known
		*r = Runs{Bursts: r.Bursts, Longest: r.Longest, next: seq}
	}
	for seq >= r.next+window {
		r.advance() // what is not known by now is not held to be lost
	}
	i, bit := seq%window/64, uint64(1)<<(seq%64)
	r.known[i] |= bit
	if lost {
		r.lost[i] |= bit
	}
	for r.known[r.next%window/64]&(1<<(r.next%64)) != 0 {
		r.advance()
	}
}

func (r *Runs) advance() {
	i, bit := r.next%window/64, uint64(1)<<(r.next%64)
	if r.lost[i]&bit != 0 {
		r.run++
		if r.run == 1 {
			r.Bursts++
		}
		r.Longest = max(r.Longest, r.run)
	} else {
		r.run = 0
	}
	r.known[i] &^= bit
	r.lost[i] &^= bit
	r.next++
}

// Merge adds the bursts that other has found. Runs that go on from one to the
// other stay two.
func (r *Runs) Merge(other *Runs) {
	r.Bursts += other.Bursts
	r.Longest = max(r.Longest, other.Longest)
}

package link

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is an interface with counters and what its driver tells.
func sample(at time.Duration, c Counters, m *LinkModes, late uint64) Snapshot {
	r := &EthtoolReport{DriverStats: []Stat{{"rx_packets", 1}, {" tx_late_collisions ", late}}}
	r.Modes = m
	return Snapshot{
		Time:   time.Unix(1_000_000, 0).Add(at),
		Link:   Link{Index: 2, Name: "eth0", Flags: FlagUp | FlagLowerUp, Carrier: CarrierOn, CarrierChanges: uint32(at / time.Second), Counters: c},
		Report: r,
	}
}

func TestFindings(t *testing.T) {
	half := &LinkModes{Speed: 100, Duplex: DuplexHalf}
	full := &LinkModes{Speed: 100, Duplex: DuplexFull, Autoneg: true}
	forced := &LinkModes{Speed: 100, Duplex: DuplexFull}
	quiet := func(m *LinkModes) Snapshot { return sample(0, Counters{RxCRCErrors: 5}, m, 3) }
	down := sample(0, Counters{}, nil, 0)
	down.Link.Carrier, down.Report.State = CarrierOff, &LinkState{ExtState: "no_cable"}
	flapping := quiet(full)
	flapping.Link.CarrierChanges, flapping.Time = 7, flapping.Time.Add(10*time.Second)
	other := quiet(full)
	other.Link.Index = 3
	gigabit := Words{"Autoneg", "100baseT/Full", "1000baseT/Full"}
	registers := sample(0, Counters{}, &LinkModes{Speed: 100, Duplex: DuplexHalf, Autoneg: true}, 0)
	registers.MII = &MII{Autoneg: true, AutonegComplete: true, Negotiated: "100baseTx-HD"}
	hot := sample(0, Counters{}, nil, 0)
	hot.Report.Module = &Module{Temperature: new(80.0), Limits: &ModuleLimits{Temperature: Limits{75, -5, 70, 0}}}
	for name, tt := range map[string]struct {
		before, after Snapshot
		want          []string
	}{
		"nothing":           {quiet(full), quiet(full), nil},
		"reset counters":    {quiet(full), sample(time.Second, Counters{RxCRCErrors: 1}, full, 0), nil},
		"another interface": {other, sample(time.Second, Counters{RxCRCErrors: 500}, full, 0), nil},
		"errors": {quiet(full), sample(time.Second, Counters{RxErrors: 9, RxCRCErrors: 14, TxDropped: 2}, full, 3),
			[]string{"errors eth0 counts 9 rx_crc_errors in 1s: damaged on the way: cable, connector, module, or a duplex mismatch",
				"drops eth0 counts 2 tx_dropped in 1s: thrown away before they were sent: the queue is full, or the interface is down"}},
		"only the sum": {quiet(full), sample(time.Second, Counters{RxErrors: 9, RxCRCErrors: 5}, full, 3), []string{"errors eth0 counts 9 rx_errors in 1s: received wrongly"}},
		"late collisions": {quiet(half), sample(time.Second, Counters{RxCRCErrors: 5}, half, 10),
			[]string{"duplex_mismatch eth0 is half duplex and sees late collisions (7): the other end is full duplex, or the cable too long"}},
		"late collisions ever": {Snapshot{}, quiet(half), []string{"duplex_mismatch eth0 is half duplex and sees late collisions (3): the other end is full duplex, or the cable too long"}},
		"old late collisions":  {quiet(half), sample(time.Second, Counters{RxCRCErrors: 5}, half, 3), []string{"half_duplex eth0 is half duplex"}},
		"partner does not negotiate": {Snapshot{}, sample(0, Counters{}, &LinkModes{Speed: 100, Duplex: DuplexHalf, Autoneg: true, Partner: Words{"100baseT/Half"}}, 0),
			[]string{"duplex_mismatch eth0 negotiates and its partner does not, so it took half duplex: the partner was probably set to full duplex"}},
		"registers say that it does not": {Snapshot{}, registers,
			[]string{"duplex_mismatch eth0 negotiates and its partner does not, so it took half duplex: the partner was probably set to full duplex"}},
		"forced": {quiet(forced), sample(time.Second, Counters{RxCRCErrors: 105}, forced, 3),
			[]string{"errors eth0 counts 100 rx_crc_errors in 1s: damaged on the way: cable, connector, module, or a duplex mismatch",
				"duplex_mismatch eth0 is forced to full duplex and receives damaged frames (100): the other end may have taken half duplex"}},
		"flapping": {quiet(full), flapping, []string{"flapping the link of eth0 came and went: 7 changes in 10s"}},
		"no link":  {Snapshot{}, down, []string{"no_link eth0 is up and has no link: no cable"}},
		"virtual":  {Snapshot{}, sample(0, Counters{}, &LinkModes{Speed: 10000, Duplex: DuplexHalf, Virtual: true}, 9), []string{"virtual_speed eth0 is made of software; its 10000Mb/s say nothing about the path"}},
		"slow": {Snapshot{}, sample(0, Counters{}, &LinkModes{Speed: 100, Duplex: DuplexFull, Autoneg: true, Advertised: gigabit, Partner: gigabit}, 0),
			[]string{"slow eth0 runs at 100Mb/s, both sides offer 1000Mb/s: look at the cable"}},
		"clock":  {Snapshot{}, sample(0, Counters{}, &LinkModes{Speed: 1000, Duplex: DuplexFull, MasterState: MasterStateError}, 0), []string{"clock eth0 and its partner both want to be clock master, or both slave"}},
		"module": {Snapshot{}, hot, []string{"module the module of eth0: temperature (°C) 80 is beyond the alarm limits -5 and 75"}},
		"empty":  {Snapshot{}, Snapshot{}, nil},
	} {
		var got []string
		for _, f := range Findings(tt.before, tt.after) {
			got = append(got, f.Kind.String()+" "+f.Text)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

package link

import "github.com/netsonde/netsonde/internal/enum"

// ModuleLimits are the bounds that the vendor sets.
type ModuleLimits struct {
	Temperature Limits `json:"temperature_c"`
	Voltage     Limits `json:"voltage_v"`
	Bias        Limits `json:"bias_ma"`
	TxPower     Limits `json:"tx_power_mw"`
	RxPower     Limits `json:"rx_power_mw"`
}

// Limits are the bounds of one measurement.
type Limits struct {
	HighAlarm   float64 `json:"high_alarm"`
	LowAlarm    float64 `json:"low_alarm"`
	HighWarning float64 `json:"high_warning"`
	LowWarning  float64 `json:"low_warning"`
}

// Crossed are the bounds of one measurement that were crossed. Modules keep them until
// they are read: one that is set need not hold any more, and reading clears it.
type Crossed struct {
	HighAlarm   bool `json:"high_alarm,omitzero"`
	LowAlarm    bool `json:"low_alarm,omitzero"`
	HighWarning bool `json:"high_warning,omitzero"`
	LowWarning  bool `json:"low_warning,omitzero"`
}

// ModuleFlags are the flags of a module as a whole; those of a lane are with the lane.
type ModuleFlags struct {
	Temperature Crossed `json:"temperature,omitzero"`
	Voltage     Crossed `json:"voltage,omitzero"`
}

// LaneFlags are the flags of one lane.
type LaneFlags struct {
	Bias    Crossed `json:"bias,omitzero"`
	TxPower Crossed `json:"tx_power,omitzero"`
	RxPower Crossed `json:"rx_power,omitzero"`

	TxFault     bool `json:"tx_fault,omitzero"`    // the transmitter failed
	TxLOS       bool `json:"tx_los,omitzero"`      // no signal from this host
	RxLOS       bool `json:"rx_los,omitzero"`      // no light
	TxLOL       bool `json:"tx_cdr_lol,omitzero"`  // clock recovery has lost the signal from this host
	RxLOL       bool `json:"rx_cdr_lol,omitzero"`  // and that of the light
	TxEqualizer bool `json:"tx_eq_fault,omitzero"` // the equalizer found no setting for the signal from this host
}

// flagNibble reads the order of all three standards: high alarm first.
func flagNibble(v byte) Crossed { return Crossed{v&8 != 0, v&4 != 0, v&2 != 0, v&1 != 0} }

// laneBit reports whether a lane's bit is set, that of the first lane being the lowest.
func laneBit(v byte, lane int) bool { return v&(1<<lane) != 0 }

// ModuleState is how far a CMIS module is (CMIS, byte 3 of the lower half).
type ModuleState uint8

// The states.
const (
	ModuleStateUnknown   ModuleState = iota // not told: no CMIS module
	ModuleStateLowPower                     //
	ModuleStatePowerUp                      // on the way up
	ModuleStateReady                        //
	ModuleStatePowerDown                    // on the way down
	ModuleStateFault                        //
)

var moduleStates = []string{"unknown", "low_pwr", "pwr_up", "ready", "pwr_down", "fault"}

// String returns a word, such as "ready".
func (s ModuleState) String() string { return enum.String(moduleStates, "state", s) }

// MarshalText implements [encoding.TextMarshaler].
func (s ModuleState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *ModuleState) UnmarshalText(b []byte) (err error) {
	*s, err = enum.Parse[ModuleState](moduleStates, "state", b)
	return err
}

// ModuleFault is why a CMIS module is in the state fault (CMIS, byte 41 of the lower half).
type ModuleFault uint8

// The causes.
const (
	ModuleFaultNone          ModuleFault = iota // none, or not told
	ModuleFaultTEC                              // the cooler runs away
	ModuleFaultDataMemory                       // memory is corrupted
	ModuleFaultProgramMemory                    //
)

var moduleFaults = []string{"none", "tec_runaway", "data_memory_corrupted", "program_memory_corrupted"}

// String returns a word, such as "tec_runaway".
func (f ModuleFault) String() string { return enum.String(moduleFaults, "fault", f) }

// MarshalText implements [encoding.TextMarshaler].
func (f ModuleFault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *ModuleFault) UnmarshalText(b []byte) (err error) {
	*f, err = enum.Parse[ModuleFault](moduleFaults, "fault", b)
	return err
}

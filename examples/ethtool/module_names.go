package main

// The words of ethtool 6.1 for the codes of SFF-8024, SFF-8472, SFF-8636 and CMIS.

// moduleNames are what a module is (SFF-8024, table 4-1).
var moduleNames = map[uint8]string{
	0x00: "no module present, unknown, or unspecified", 0x01: "GBIC", 0x02: "module soldered to motherboard", 0x03: "SFP", 0x04: "300 pin XBI",
	0x05: "XENPAK", 0x06: "XFP", 0x07: "XFF", 0x08: "XFP-E", 0x09: "XPAK", 0x0a: "X2", 0x0b: "DWDM-SFP", 0x0c: "QSFP", 0x0d: "QSFP+", 0x0e: "CXP",
	0x0f: "Shielded Mini Multilane HD 4X", 0x10: "Shielded Mini Multilane HD 8X", 0x11: "QSFP28", 0x12: "CXP2/CXP28", 0x13: "CDFP Style 1/Style 2",
	0x14: "Shielded Mini Multilane HD 4X Fanout Cable", 0x15: "Shielded Mini Multilane HD 8X Fanout Cable", 0x16: "CDFP Style 3", 0x17: "microQSFP",
	0x18: "QSFP-DD Double Density 8X Pluggable Transceiver (INF-8628)", 0x19: "OSFP 8X Pluggable Transceiver",
	0x1b: "DSFP Dual Small Form Factor Pluggable Transceiver",
}

// connectorNames are its plugs (SFF-8024, table 4-3).
var connectorNames = map[uint8]string{
	0x00: "unknown or unspecified", 0x01: "SC", 0x02: "Fibre Channel Style 1 copper", 0x03: "Fibre Channel Style 2 copper", 0x04: "BNC/TNC",
	0x05: "Fibre Channel coaxial headers", 0x06: "FibreJack", 0x07: "LC", 0x08: "MT-RJ", 0x09: "MU", 0x0a: "SG", 0x0b: "Optical pigtail",
	0x0c: "MPO Parallel Optic", 0x0d: "MPO Parallel Optic - 2x16", 0x20: "HSSDC II", 0x21: "Copper pigtail", 0x22: "RJ45",
	0x23: "No separable connector", 0x24: "MXC 2x16", 0x25: "CS optical connector", 0x26: "Mini CS optical connector", 0x27: "MPO 2x12",
	0x28: "MPO 1x16",
}

// sfpTypes are bits 0 to 7 of bytes 3 to 10 (SFF-8472, table 5-3).
var sfpTypes = [][8]string{
	{
		"Infiniband: 1X Copper Passive", "Infiniband: 1X Copper Active", "Infiniband: 1X LX", "Infiniband: 1X SX",
		"10G Ethernet: 10G Base-SR", "10G Ethernet: 10G Base-LR", "10G Ethernet: 10G Base-LRM", "10G Ethernet: 10G Base-ER [SFF-8472 rev10.4 onwards]",
	},
	{
		"SONET: OC-48, short reach", "SONET: OC-48, intermediate reach", "SONET: OC-48, long reach", "SONET: SONET reach specifier bit 2",
		"SONET: SONET reach specifier bit 1", "SONET: OC-192, short reach", "ESCON: ESCON SMF, 1310nm Laser", "ESCON: ESCON MMF, 1310nm LED",
	},
	{
		"SONET: OC-3, short reach", "SONET: OC-3, single mode, inter. reach", "SONET: OC-3, single mode, long reach", "",
		"SONET: OC-12, short reach", "SONET: OC-12, single mode, inter. reach", "SONET: OC-12, single mode, long reach", "",
	},
	{
		"Ethernet: 1000BASE-SX", "Ethernet: 1000BASE-LX", "Ethernet: 1000BASE-CX", "Ethernet: 1000BASE-T",
		"Ethernet: 100BASE-LX/LX10", "Ethernet: 100BASE-FX", "Ethernet: BASE-BX10", "Ethernet: BASE-PX",
	},
	{
		"FC: Electrical inter-enclosure (EL)", "FC: Longwave laser (LC)", "FC: Shortwave laser, linear Rx (SA)", "FC: medium distance (M)",
		"FC: long distance (L)", "FC: intermediate distance (I)", "FC: short distance (S)", "FC: very long distance (V)",
	},
	{
		"", "FC: Copper FC-BaseT", "Passive Cable", "Active Cable",
		"FC: Longwave laser (LL)", "FC: Shortwave laser with OFC (SL)", "FC: Shortwave laser w/o OFC (SN)", "FC: Electrical intra-enclosure (EL)",
	},
	{
		"FC: Single Mode (SM)", "", "FC: Multimode, 50um (M5)", "FC: Multimode, 62.5um (M6)",
		"FC: Video Coax (TV)", "FC: Miniature Coax (MI)", "FC: Twisted Pair (TP)", "FC: Twin Axial Pair (TW)",
	},
	{
		"FC: 100 MBytes/sec", "", "FC: 200 MBytes/sec", "",
		"FC: 400 MBytes/sec", "", "FC: 800 MBytes/sec", "FC: 1200 MBytes/sec",
	},
}

// extendedNames are codes of SFF-8024, table 4-4, that mean the same for SFP and QSFP.
var extendedNames = map[uint8]string{
	0x1a: "100GE-DWDM2 (DWDM transceiver using 2 wavelengths on a 1550 nm DWDM grid with a reach up to 80 km)", 0x1b: "100G 1550nm WDM (4 wavelengths)",
	0x1d: "5GBASE-T", 0x1e: "2.5GBASE-T", 0x1f: "40G SWDM4", 0x20: "100G SWDM4", 0x21: "100G PAM4 BiDi",
	0x22: "4WDM-10 MSA (10km version of 100G CWDM4 with same RS(528,514) FEC in host system)",
	0x23: "4WDM-20 MSA (20km version of 100GBASE-LR4 with RS(528,514) FEC in host system)",
	0x24: "4WDM-40 MSA (40km reach with APD receiver and RS(528,514) FEC in host system)", 0x25: "100GBASE-DR (clause 140), CAUI-4 (no FEC)",
	0x26: "100G-FR or 100GBASE-FR1 (clause 140), CAUI-4 (no FEC)", 0x27: "100G-LR or 100GBASE-LR1 (clause 140), CAUI-4 (no FEC)",
	0x30: "Active Copper Cable with 50GAUI, 100GAUI-2 or 200GAUI-4 C2M. Providing a worst BER of 10-6 or below",
	0x31: "Active Optical Cable with 50GAUI, 100GAUI-2 or 200GAUI-4 C2M. Providing a worst BER of 10-6 or below",
	0x32: "Active Copper Cable with 50GAUI, 100GAUI-2 or 200GAUI-4 C2M. Providing a worst BER of 2.6x10-4 for ACC, 10-5 for AUI, or below",
	0x33: "Active Optical Cable with 50GAUI, 100GAUI-2 or 200GAUI-4 C2M. Providing a worst BER of 2.6x10-4 for ACC, 10-5 for AUI, or below",
	0x40: "50GBASE-CR, 100GBASE-CR2, or 200GBASE-CR4", 0x41: "50GBASE-SR, 100GBASE-SR2, or 200GBASE-SR4", 0x42: "50GBASE-FR or 200GBASE-DR4",
	0x43: "200GBASE-FR4", 0x44: "200G 1550 nm PSM4", 0x45: "50GBASE-LR", 0x46: "200GBASE-LR4", 0x50: "64GFC EA", 0x51: "64GFC SW", 0x52: "64GFC LW",
	0x53: "128GFC EA", 0x54: "128GFC SW", 0x55: "128GFC LW",
}

// sfpExtended are the others, of byte 36 of SFF-8472.
var sfpExtended = map[uint8]string{
	0x01: "100G AOC or 25GAUI C2M AOC with worst BER of 5x10^(-5)", 0x02: "100G Base-SR4 or 25GBase-SR", 0x03: "100G Base-LR4 or 25GBase-LR",
	0x04: "100G Base-ER4 or 25GBase-ER", 0x08: "100G ACC or 25GAUI C2M ACC with worst BER of 5x10^(-5)", 0x0b: "100G Base-CR4 or 25G Base-CR CA-L",
	0x0c: "25G Base-CR CA-S", 0x0d: "25G Base-CR CA-N", 0x16: "10Gbase-T with SFI electrical interface",
	0x18: "100G AOC or 25GAUI C2M AOC with worst BER of 10^(-12)", 0x19: "100G ACC or 25GAUI C2M ACC with worst BER of 10^(-12)",
	0x1c: "10Gbase-T Short Reach",
}

// sfpEncodings are codes of byte 11 (SFF-8024, table 4-2).
var sfpEncodings = map[uint8]string{
	0x00: "unspecified", 0x01: "8B/10B", 0x02: "4B/5B", 0x03: "NRZ", 0x04: "Manchester", 0x05: "SONET Scrambled", 0x06: "64B/66B",
	0x07: "(256B/257B (transcoded FEC-enabled data)", 0x08: "PAM4",
}

// sfpRates are codes of byte 13 (SFF-8472).
var sfpRates = map[uint8]string{
	0x00: "unspecified", 0x01: "4/2/1G Rate_Select & AS0/AS1", 0x02: "8/4/2G Rx Rate_Select only", 0x03: "8/4/2G Independent Rx & Tx Rate_Select",
	0x04: "8/4/2G Tx Rate_Select only",
}

// qsfpTypes are bits 0 to 7 of bytes 131 to 138 (SFF-8636, table 6-17).
var qsfpTypes = [][8]string{
	{
		"40G Ethernet: 40G Active Cable (XLPPI)", "40G Ethernet: 40G Base-LR4", "40G Ethernet: 40G Base-SR4", "40G Ethernet: 40G Base-CR4",
		"10G Ethernet: 10G Base-SR", "10G Ethernet: 10G Base-LR", "10G Ethernet: 10G Base-LRM", "",
	},
	{
		"SONET: OC-48, short reach", "SONET: OC-48, intermediate reach", "SONET: OC-48, long reach", "40G OTN (OTU3B/OTU3C)",
		"", "", "", "",
	},
	{
		"", "", "", "",
		"SAS 3.0G", "SAS 6.0G", "", "",
	},
	{
		"Ethernet: 1000BASE-SX", "Ethernet: 1000BASE-LX", "Ethernet: 1000BASE-CX", "Ethernet: 1000BASE-T",
		"", "", "", "",
	},
	{
		"FC: Electrical inter-enclosure (EL)", "FC: Longwave laser (LC)", "", "FC: medium distance (M)",
		"FC: long distance (L)", "FC: intermediate distance (I)", "FC: short distance (S)", "FC: very long distance (V)",
	},
	{
		"", "", "", "",
		"FC: Longwave laser (LL)", "FC: Shortwave laser with OFC (SL)", "FC: Shortwave laser w/o OFC (SN)", "FC: Electrical intra-enclosure (EL)",
	},
	{
		"FC: Single Mode (SM)", "FC: Multimode, 50um (OM3)", "FC: Multimode, 50m (M5)", "FC: Multimode, 62.5m (M6)",
		"FC: Video Coax (TV)", "FC: Miniature Coax (MI)", "FC: Twisted Pair (TP)", "FC: Twin Axial Pair (TW)",
	},
	{
		"FC: 100 MBytes/sec", "", "FC: 200 MBytes/sec", "",
		"FC: 400 MBytes/sec", "FC: 1600 MBytes/sec", "FC: 800 MBytes/sec", "FC: 1200 MBytes/sec",
	},
}

// qsfpExtended are the codes besides extendedNames, of byte 192 of SFF-8636.
var qsfpExtended = map[uint8]string{
	0x01: "100G Ethernet: 100G AOC or 25GAUI C2M AOC with worst BER of 5x10^(-5)", 0x02: "100G Ethernet: 100G Base-SR4 or 25GBase-SR",
	0x03: "100G Ethernet: 100G Base-LR4", 0x04: "100G Ethernet: 100G Base-ER4", 0x05: "100G Ethernet: 100G Base-SR10",
	0x06: "100G Ethernet: 100G CWDM4 MSA with FEC", 0x07: "100G Ethernet: 100G PSM4 Parallel SMF",
	0x08: "100G Ethernet: 100G ACC or 25GAUI C2M ACC with worst BER of 5x10^(-5)", 0x09: "100G Ethernet: 100G CWDM4 MSA without FEC",
	0x0b: "100G Ethernet: 100G Base-CR4 or 25G Base-CR CA-L", 0x0c: "25G Ethernet: 25G Base-CR CA-S", 0x0d: "25G Ethernet: 25G Base-CR CA-N",
	0x10: "40G Ethernet: 40G Base-ER4", 0x11: "4x10G Ethernet: 10G Base-SR", 0x12: "40G Ethernet: 40G PSM4 Parallel SMF",
	0x13: "Ethernet: G959.1 profile P1I1-2D1 (10709 MBd, 2km, 1310nm SM)", 0x14: "Ethernet: G959.1 profile P1S1-2D2 (10709 MBd, 40km, 1550nm SM)",
	0x15: "Ethernet: G959.1 profile P1L1-2D2 (10709 MBd, 80km, 1550nm SM)", 0x16: "10G Ethernet: 10G Base-T with SFI electrical interface",
	0x17: "100G Ethernet: 100G CLR4", 0x18: "100G Ethernet: 100G AOC or 25GAUI C2M AOC with worst BER of 10^(-12)",
	0x19: "100G Ethernet: 100G ACC or 25GAUI C2M ACC with worst BER of 10^(-12)", 0x1c: "10GBASE-T Short Reach (30 meters)",
}

// qsfpEncodings are codes of byte 139 (SFF-8024, table 4-2).
var qsfpEncodings = map[uint8]string{
	0x00: "unspecified", 0x01: "8B/10B", 0x02: "4B/5B", 0x03: "NRZ", 0x04: "SONET Scrambled", 0x05: "64B/66B", 0x06: "Manchester",
	0x07: "(256B/257B (transcoded FEC-enabled data)", 0x08: "PAM4",
}

// qsfpRevisions are codes of byte 1 (SFF-8636).
var qsfpRevisions = map[uint8]string{
	0x00: "Revision not specified", 0x01: "SFF-8436 Rev 4.8 or earlier", 0x02: "SFF-8436 Rev 4.8 or earlier", 0x03: "SFF-8636 Rev 1.3 or earlier",
	0x04: "SFF-8636 Rev 1.4", 0x05: "SFF-8636 Rev 1.5", 0x06: "SFF-8636 Rev 2.0", 0x07: "SFF-8636 Rev 2.5/2.6/2.7",
}

// qsfpTechnologies are codes of the upper half of byte 147 (SFF-8636).
var qsfpTechnologies = map[uint8]string{
	0x00: "850 nm VCSEL", 0x01: "1310 nm VCSEL", 0x02: "1550 nm VCSEL", 0x03: "1310 nm FP", 0x04: "1310 nm DFB", 0x05: "1550 nm DFB",
	0x06: "1310 nm EML", 0x07: "1550 nm EML", 0x08: "Others/Undefined", 0x09: "1490 nm DFB", 0x0a: "Copper cable unequalized",
	0x0b: "Copper cable passive equalized", 0x0c: "Copper cable, near and far end limiting active equalizers",
	0x0d: "Copper cable, far end limiting active equalizers", 0x0e: "Copper cable, near end limiting active equalizers",
	0x0f: "Copper cable, linear active equalizers",
}

// cmisTechnologies are codes of byte 212 (CMIS, page 0).
var cmisTechnologies = map[uint8]string{
	0x00: "850 nm VCSEL", 0x01: "1310 nm VCSEL", 0x02: "1550 nm VCSEL", 0x03: "1310 nm FP", 0x04: "1310 nm DFB", 0x05: "1550 nm DFB",
	0x06: "1310 nm EML", 0x07: "1550 nm EML", 0x08: "Others/Undefined", 0x09: "1490 nm DFB", 0x0a: "Copper cable, unequalized",
	0x0b: "Copper cable, passive equalized", 0x0c: "Copper cable, near and far end limiting active equalizers",
	0x0d: "Copper cable, far end limiting active equalizers", 0x0e: "Copper cable, near end limiting active equalizers",
	0x0f: "Copper cable, linear active equalizers",
}

// cmisStates are bits 1 to 3 of byte 3 (CMIS).
var cmisStates = map[uint8]string{
	0x01: "ModuleLowPwr", 0x02: "ModulePwrUp", 0x03: "ModuleReady", 0x04: "ModulePwrDn", 0x05: "ModuleFault",
}

// cmisFaults are codes of byte 41 (CMIS).
var cmisFaults = map[uint8]string{
	0x00: "No fault detected / not supported", 0x01: "TEC runaway", 0x02: "Data memory corrupted", 0x03: "Program memory corrupted",
}

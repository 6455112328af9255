package wire

import "strconv"

// Code says why a server could not do what it was asked.
type Code uint16

// The codes, in the order of docs/protocol.md.
const (
	UnknownKind        Code = 1
	BadLength          Code = 2
	BadBody            Code = 3
	Incomplete         Code = 4
	TooManyConnections Code = 5
	TLSRequired        Code = 6
	TLSNotOffered      Code = 7
	CertificateRefused Code = 8
	BadCount           Code = 32
	AdvanceTooLarge    Code = 33
	Exhausted          Code = 34
	Storage            Code = 35
	Stopping           Code = 36
	PIDConflict        Code = 37
	StaleState         Code = 38
	OverBudget         Code = 39
	Joining            Code = 40
	NotTrusted         Code = 41
	UnknownPID         Code = 42
	StoreUnavailable   Code = 43
	ForeignCluster     Code = 64
	ForeignVersion     Code = 65
	SamePID            Code = 66
	Oneself            Code = 67
	NotAPeer           Code = 68
	BootTooFar         Code = 69
	HeldByAnother      Code = 70
)

var codeNames = map[Code]string{
	UnknownKind:        "unknownKind",
	BadLength:          "badLength",
	BadBody:            "badBody",
	Incomplete:         "incomplete",
	TooManyConnections: "tooManyConnections",
	TLSRequired:        "tlsRequired",
	TLSNotOffered:      "tlsNotOffered",
	CertificateRefused: "certificateRefused",
	BadCount:           "badCount",
	AdvanceTooLarge:    "advanceTooLarge",
	Exhausted:          "exhausted",
	Storage:            "storage",
	Stopping:           "stopping",
	PIDConflict:        "pidConflict",
	StaleState:         "staleState",
	OverBudget:         "overBudget",
	Joining:            "joining",
	NotTrusted:         "notTrusted",
	UnknownPID:         "unknownPid",
	StoreUnavailable:   "storeUnavailable",
	ForeignCluster:     "foreignCluster",
	ForeignVersion:     "foreignVersion",
	SamePID:            "samePid",
	Oneself:            "oneself",
	NotAPeer:           "notAPeer",
	BootTooFar:         "bootTooFar",
	HeldByAnother:      "heldByAnother",
}

// Codes from 32 to 63 come instead of one reply. All others end the connection.
const (
	goesOnFirst Code = 32
	goesOnLast  Code = 63
)

// String is the name of the code, as docs/protocol.md has it, or "code N" if this version does not know it.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return "code " + strconv.Itoa(int(c))
}

// Closes reports whether the connection ends after an error with this code.
func (c Code) Closes() bool {
	return c < goesOnFirst || c > goesOnLast
}

// Elsewhere reports whether another server may be able to do what this one could not. The client asks the next one.
func (c Code) Elsewhere() bool {
	switch c {
	case TooManyConnections, TLSRequired, TLSNotOffered, CertificateRefused, Exhausted, Storage, Stopping,
		PIDConflict, StaleState, OverBudget, Joining, StoreUnavailable:
		return true
	default:
		return false
	}
}

// Lasting reports whether the same server will say the same again soon, so that waiting cannot help.
func (c Code) Lasting() bool {
	switch c {
	case Exhausted, TLSRequired, TLSNotOffered, CertificateRefused:
		return true
	default:
		return false
	}
}

// Doubtful reports whether the server does not know any more which identities of its pid were handed out. Nothing that
// is left of them may be used.
func (c Code) Doubtful() bool {
	return c == PIDConflict || c == StaleState
}

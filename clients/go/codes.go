package ipseity

import "ipseity/internal/wire"

// Code says why a server could not do what it was asked. docs/protocol.md says what each of them means, and what to do.
type Code uint16

// The codes that a client gets.
const (
	CodeUnknownKind        = Code(wire.UnknownKind)
	CodeBadLength          = Code(wire.BadLength)
	CodeBadBody            = Code(wire.BadBody)
	CodeIncomplete         = Code(wire.Incomplete)
	CodeTooManyConnections = Code(wire.TooManyConnections)
	CodeTLSRequired        = Code(wire.TLSRequired)
	CodeTLSNotOffered      = Code(wire.TLSNotOffered)
	CodeCertificateRefused = Code(wire.CertificateRefused)
	CodeBadCount           = Code(wire.BadCount)
	CodeAdvanceTooLarge    = Code(wire.AdvanceTooLarge)
	CodeExhausted          = Code(wire.Exhausted)
	CodeStorage            = Code(wire.Storage)
	CodeStopping           = Code(wire.Stopping)
	CodePIDConflict        = Code(wire.PIDConflict)
	CodeStaleState         = Code(wire.StaleState)
	CodeOverBudget         = Code(wire.OverBudget)
	CodeJoining            = Code(wire.Joining)
	CodeNotTrusted         = Code(wire.NotTrusted)
	CodeStoreUnavailable   = Code(wire.StoreUnavailable)
	CodeForeignCluster     = Code(wire.ForeignCluster)
)

// String is the name of the code, such as badCount, or "code N" if this version does not know it.
func (c Code) String() string {
	return wire.Code(c).String()
}

// Closes reports whether the connection ends after an error with this code.
func (c Code) Closes() bool {
	return wire.Code(c).Closes()
}

// Elsewhere reports whether a client asks the next server after an error with this code, because that one may be able to do
// what this one could not.
func (c Code) Elsewhere() bool {
	return wire.Code(c).Elsewhere()
}

func (c Code) lasting() bool  { return wire.Code(c).Lasting() }
func (c Code) doubtful() bool { return wire.Code(c).Doubtful() }

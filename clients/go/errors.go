package ipseity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ipseity/internal/plain"
)

// Error is what all errors of this package have in common. Find out which one it is with errors.As and one of the types
// below, or with errors.Is and [ErrClosed].
type Error interface {
	error
	// ofIpseity keeps the list of errors complete: no other package can add to it.
	ofIpseity()
}

// ErrClosed is the error of a call on a client or source that was closed before, or during the call.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string {
	return "ipseity: the client or source was closed (make a new one to go on)"
}
func (closedError) ofIpseity() {}

// ConfigurationError says that an address, an option or a text is wrong. Nothing was sent. Correct the program.
type ConfigurationError struct {
	err error
}

func (e *ConfigurationError) Error() string { return "ipseity: " + e.err.Error() }

// Unwrap gives the error that this one comes from, if there is one: of a file that cannot be read, say.
func (e *ConfigurationError) Unwrap() error { return errors.Unwrap(e.err) }
func (*ConfigurationError) ofIpseity()      {}

func configurationf(format string, args ...any) *ConfigurationError {
	return &ConfigurationError{err: fmt.Errorf(format, args...)}
}

// UnavailableError says that no server answered in time. Try again later. If it goes on, look at the servers.
type UnavailableError struct {
	// Failures has the last failure of each server, in the order of the list.
	Failures []Failure
}

// Failure is what happened at a server that gave no answer.
type Failure struct {
	// Server is its address, as the error texts have it.
	Server string
	// Cause is why. It is an [ErrorReply] if the server said so itself.
	Cause error
}

func (e *UnavailableError) Error() string {
	servers := "server"
	if len(e.Failures) > 1 {
		servers = "servers"
	}
	return fmt.Sprintf("ipseity: %s (try again later; if it goes on, look at the %s)", notAnswered(e.Failures), servers)
}

// Unwrap gives the causes of all failures, so that errors.Is and errors.As find them.
func (e *UnavailableError) Unwrap() []error {
	causes := make([]error, len(e.Failures))
	for i, failure := range e.Failures {
		causes[i] = failure.Cause
	}
	return causes
}

func (*UnavailableError) ofIpseity() {}

// notAnswered lists the servers and what happened there.
func notAnswered(failures []Failure) string {
	texts := make([]string, len(failures))
	for i, failure := range failures {
		texts[i] = failure.Server + ": " + failure.Cause.Error()
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return fmt.Sprintf("none of %d servers answered: %s", len(texts), strings.Join(texts, "; "))
}

// ErrorReply is an error that a server has sent.
type ErrorReply struct {
	// Code is for programs.
	Code Code
	// Message is for people. It came from the network, and Error shows it in one line.
	Message string
}

func (e *ErrorReply) Error() string {
	return fmt.Sprintf("refused with %s: %s", e.Code, plain.Text(e.Message))
}

// RefusedError says that a server has refused this request, and others would say the same. Correct the request.
type RefusedError struct {
	// Server is the address of the server.
	Server string
	// Reply is what it said: [CodeBadCount], [CodeAdvanceTooLarge], or another code.
	Reply *ErrorReply
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("ipseity: %s refused the request with %s: %s (%s)",
		e.Server, e.Reply.Code, plain.Text(e.Reply.Message), e.advice())
}

func (e *RefusedError) advice() string {
	switch e.Reply.Code {
	case CodeBadCount:
		return "ask for as many as it allows, or raise its --max-count"
	case CodeAdvanceTooLarge:
		return "check where so large a number comes from"
	case CodeNotTrusted:
		return "show a certificate that it trusts, or ask from an address that it trusts"
	case CodeUnknownKind, CodeBadLength, CodeBadBody, CodeIncomplete:
		return "check that the server is not older than this program"
	default:
		return "correct the request"
	}
}

// Unwrap gives the reply.
func (e *RefusedError) Unwrap() error { return e.Reply }
func (*RefusedError) ofIpseity()      {}

// WrongClusterError says that a server is of another cluster than [Options.Cluster]. Nothing that came from it was used.
// Correct the list of servers, or the name.
type WrongClusterError struct {
	// Server is the address of the server.
	Server string
	// Expected is the name that the client was told.
	Expected string
	// Message is what the server said of its own cluster, in words.
	Message string
}

func (e *WrongClusterError) Error() string {
	return fmt.Sprintf("ipseity: %s is of another cluster: %s (correct the list of servers, or the name of the cluster)",
		e.Server, plain.Text(e.Message))
}

func (*WrongClusterError) ofIpseity() {}

// ProtocolError says that a server broke the protocol. Nothing of its reply was used. Check that it is an Ipseity server,
// and its version.
type ProtocolError struct {
	// Server is the address of the server.
	Server string
	// Cause says what was wrong with what it sent.
	Cause error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("ipseity: %s breaks the protocol: %s (check that it is an Ipseity server, and its version)",
		e.Server, plain.Text(e.Cause.Error()))
}

// Unwrap gives the cause.
func (e *ProtocolError) Unwrap() error { return e.Cause }
func (*ProtocolError) ofIpseity()      {}

// endedError says that the caller's context has ended. It is the context's error with a remark on the servers, since
// "deadline exceeded" alone helps nobody at night.
type endedError struct {
	cause    error
	failures []Failure
}

func (e *endedError) Error() string {
	if len(e.failures) == 0 {
		return "ipseity: " + e.cause.Error()
	}
	return "ipseity: " + e.cause.Error() + " before a server answered: " + notAnswered(e.failures)
}

func (e *endedError) Unwrap() error { return e.cause }
func (*endedError) ofIpseity()      {}

// ended is the error of a call whose caller's context has ended.
func ended(ctx context.Context, failures []Failure) error {
	return &endedError{cause: ctx.Err(), failures: failures}
}

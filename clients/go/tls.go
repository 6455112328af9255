package ipseity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"ipseity/internal/plain"
	"ipseity/internal/wire"
)

// LoadTLS reads PEM files: the CAs that are believed, and, unless both names are empty, the certificate that is shown to
// servers that ask for one, with its private key. An error is a [ConfigurationError].
func LoadTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, configurationf("cannot read the CAs: %w", err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, configurationf("%s has no certificate of a CA in PEM", caFile)
	}
	if certFile == "" && keyFile == "" {
		return config, nil
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, configurationf("cannot read the certificate %q and its key %q: %w", certFile, keyFile, err)
	}
	config.Certificates = []tls.Certificate{certificate}
	return config, nil
}

// checkedTLS is a copy of the caller's configuration. What would make TLS pointless is refused.
func checkedTLS(config *tls.Config) (*tls.Config, error) {
	if config == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}, nil
	}
	config = config.Clone()
	switch {
	case config.InsecureSkipVerify:
		return nil, configurationf("TLS.InsecureSkipVerify is set: then anybody could be the server; set TLS.RootCAs to the CA " +
			"that has signed its certificate")
	case config.ServerName != "":
		return nil, configurationf("TLS.ServerName is set to %q: the certificate is checked for the name in the list of servers",
			config.ServerName)
	case config.MinVersion == 0:
		config.MinVersion = tls.VersionTLS12
	case config.MinVersion < tls.VersionTLS12:
		return nil, configurationf("TLS.MinVersion is below TLS 1.2, which no server speaks")
	}
	return config, nil
}

// tlsError says why there is no TLS with a server.
type tlsError struct {
	text string
	err  error
	// lasting: waiting cannot help.
	lasting bool
}

func (e *tlsError) Error() string {
	if e.err == nil {
		return e.text
	}
	return e.text + ": " + plain.Text(strings.TrimPrefix(e.err.Error(), "tls: "))
}

func (e *tlsError) Unwrap() error { return e.err }

// handshake speaks TLS over a connection. The certificate must be for the host.
func handshake(ctx context.Context, config *tls.Config, conn net.Conn, host string) (net.Conn, error) {
	config = config.Clone()
	// A certificate names an address without its zone.
	config.ServerName, _, _ = strings.Cut(host, "%")
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	if err == nil {
		return secured, nil
	}
	conn.Close()
	return nil, handshakeFailed(ctx, err)
}

func handshakeFailed(ctx context.Context, err error) error {
	var unverified *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	switch {
	case ctx.Err() != nil:
		return &timeoutError{"the TLS handshake was not complete"}
	case errors.As(err, &unknown):
		text := "its certificate is not accepted: no CA that is believed here has signed it, see Options.TLS"
		return &tlsError{text: text, err: unknown, lasting: true}
	case errors.As(err, &unverified):
		return &tlsError{text: "its certificate is not accepted", err: unverified.Err, lasting: true}
	case errors.As(err, &notTLS):
		return answeredPlain(notTLS.RecordHeader)
	case isRemoteAlert(err):
		return alertError(err)
	case errors.Is(err, io.EOF) || isReset(err):
		return &tlsError{text: "it closed the connection in the middle of the TLS handshake", err: nil}
	default:
		return &tlsError{text: "the TLS handshake failed", err: err}
	}
}

// answeredPlain says what the first bytes mean that came in place of TLS: an errorReply of a server that has no
// certificate or no room, or something else. The bytes end with the code, so its text is not known.
func answeredPlain(head [5]byte) error {
	code := wire.Code(binary.BigEndian.Uint16(head[3:]))
	if wire.Kind(head[2]) == wire.KindErrorReply && code != wire.TLSNotOffered {
		return &ErrorReply{Code: Code(code), Message: "it answered without TLS"}
	}
	return &tlsError{
		text:    "it does not speak TLS there: write its address without tls://, or give the server a certificate",
		lasting: wire.Kind(head[2]) == wire.KindErrorReply,
	}
}

// isRemoteAlert reports whether the other side has ended TLS and said why. A server that does not accept the certificate
// of a client says so only after the handshake of TLS 1.3.
func isRemoteAlert(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "remote error"
}

func alertError(err error) error {
	var operation *net.OpError
	errors.As(err, &operation)
	return &tlsError{text: "it ended TLS (does it accept the certificate of this client?)", err: operation.Err}
}

// timeoutError says what was not there in time. errors.Is finds os.ErrDeadlineExceeded in it.
type timeoutError struct{ text string }

func (e *timeoutError) Error() string { return e.text }
func (e *timeoutError) Timeout() bool { return true }
func (e *timeoutError) Unwrap() error { return os.ErrDeadlineExceeded }

func timeoutf(format string, args ...any) error {
	return &timeoutError{fmt.Sprintf(format, args...)}
}

package ipseity

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// certificates are made once for all tests, by openssl.
var certificates = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ipseity-go-")
	if err != nil {
		return "", err
	}
	const script = `
set -eu
cd "$1"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
ca() { key "$1"; openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 2 -addext basicConstraints=critical,CA:TRUE -out "$1.pem" 2>/dev/null; }
leaf() { # name, CA, extension, days
    key "$1"
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr" 2>/dev/null
    printf 'subjectAltName=%s\n' "$3" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days "$4" -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}
ca ca
ca other
leaf good ca DNS:localhost,IP:127.0.0.1 2
leaf elsewhere ca DNS:id1.example 2
leaf stranger other DNS:localhost,IP:127.0.0.1 2
leaf expired ca DNS:localhost,IP:127.0.0.1 -1
leaf alice ca DNS:alice 2
`
	output, err := exec.Command("sh", "-c", script, "sh", dir).CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: "openssl: " + string(output), Err: err}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := certificates(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func certificateDir(t testing.TB) string {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not on this machine, and it makes the certificates")
	}
	return must(certificates())(t)
}

// listenTLS is a server that shows this certificate, and asks for one if it is told which CA has signed it.
func listenTLS(t testing.TB, name string, clientCA bool, serve func(p *peer)) string {
	dir := certificateDir(t)
	config := &tls.Config{}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{certificate}
	if clientCA {
		config.ClientCAs = must(LoadTLS(filepath.Join(dir, "ca.pem"), "", ""))(t).RootCAs
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, serve)
	return "tls://" + listener.Addr().String()
}

func tlsOptions(t testing.TB, certificate string) *tls.Config {
	dir := certificateDir(t)
	if certificate == "" {
		return must(LoadTLS(filepath.Join(dir, "ca.pem"), "", ""))(t)
	}
	return must(LoadTLS(filepath.Join(dir, "ca.pem"), filepath.Join(dir, certificate+".pem"), filepath.Join(dir, certificate+".key")))(t)
}

func TestIdentitiesComeByTLS(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	address := listenTLS(t, "good", false, server.serve)
	client := newTestClient(t, Options{TLS: tlsOptions(t, ""), Cluster: "ipseity", CallTimeout: patience, ConnectTimeout: patience},
		address)
	for i := int64(1); i <= 100; i++ {
		if id := must(client.Next(background))(t); id.Sequence() != i {
			t.Fatal(id)
		}
	}
	if client.Counters().Connects != 1 {
		t.Fatal(client.Counters())
	}
	_, port, _ := net.SplitHostPort(address[len("tls://"):])
	byName := newTestSource(t, Options{TLS: tlsOptions(t, ""), CallTimeout: patience, ConnectTimeout: patience}, "tls://localhost:"+port)
	for i := 0; i < 1000; i++ {
		must(byName.Next(background))(t)
	}
}

func TestATLSConnectionMayBeIdleAndThenGoesOn(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	client := newTestClient(t, Options{
		TLS: tlsOptions(t, ""), ReplyTimeout: time.Second, CallTimeout: patience, ConnectTimeout: patience,
	}, listenTLS(t, "good", false, server.serve))
	must(client.Next(background))(t)
	// The deadlines of reads pass and move meanwhile.
	time.Sleep(50 * time.Millisecond)
	must(client.Next(background))(t)
	if client.Counters().Connects != 1 {
		t.Fatal(client.Counters())
	}
}

func TestACertificateThatIsNotAcceptedIsAFailureWithItsReason(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{
		"elsewhere": "certificate is not valid",
		"stranger":  "unknown authority",
		"expired":   "expired",
	} {
		server := newFake(t, 1, nil)
		address := listenTLS(t, name, false, server.serve)
		// Waiting cannot help, so the call does not use up its time.
		client := newTestClient(t, Options{TLS: tlsOptions(t, ""), CallTimeout: time.Hour, ConnectTimeout: patience}, address)
		_, err := client.Next(background)
		if failures := as[*UnavailableError](t, err).Failures; len(failures) != 1 || failures[0].Server != address {
			t.Fatal(err)
		}
		says(t, err, "its certificate is not accepted: ")
		if name != "elsewhere" {
			says(t, err, reason)
		}
		if len(server.identityRequests()) != 0 {
			t.Fatal("it was asked")
		}
	}
}

func TestTheServerMayAskForACertificate(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	address := listenTLS(t, "good", true, server.serve)
	alice := newTestClient(t, Options{TLS: tlsOptions(t, "alice"), CallTimeout: patience, ConnectTimeout: patience}, address)
	must(alice.Next(background))(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := tlsOptions(t, "")
		config.MaxVersion = version
		// On a busy machine the time of a short call is over before the server has said anything.
		const reason = "does it accept the certificate of this client?"
		var err error
		for callTimeout := 300 * time.Millisecond; callTimeout < patience; callTimeout *= 2 {
			nobody := newTestClient(t, Options{TLS: config, CallTimeout: callTimeout, ConnectTimeout: patience}, address)
			_, err = nobody.Next(background)
			as[*UnavailableError](t, err)
			if strings.Contains(err.Error(), reason) {
				break
			}
		}
		says(t, err, reason)
	}
}

func TestTLSAndNoTLSAreToldApart(t *testing.T) {
	t.Parallel()
	alert := []byte{0x15, 3, 3, 0, 2, 2, 70}
	secured := listen(t, func(p *peer) { p.get(); p.send(alert); p.drain() })
	plain := newTestClient(t, Options{CallTimeout: 300 * time.Millisecond}, secured)
	_, err := plain.Next(background)
	says(t, err, "it speaks TLS there: write tls:// before its address")

	answers := func(frame []byte) string {
		return "tls://" + listen(t, func(p *peer) {
			buffer := make([]byte, 1000)
			_, _ = p.conn.Read(buffer)
			p.send(frame)
			p.drain()
		})
	}
	client := newTestClient(t, Options{CallTimeout: time.Hour, ConnectTimeout: patience},
		answers(errorReply(CodeTLSNotOffered, "no")))
	_, err = client.Next(background)
	says(t, err, "it does not speak TLS there: write its address without tls://")

	full := newTestClient(t, Options{CallTimeout: 300 * time.Millisecond, ConnectTimeout: patience},
		answers(errorReply(CodeTooManyConnections, "full")))
	_, err = full.Next(background)
	if as[*ErrorReply](t, err).Code != CodeTooManyConnections {
		t.Fatal(err)
	}

	mute := newTestClient(t, Options{CallTimeout: 300 * time.Millisecond, ConnectTimeout: 50 * time.Millisecond},
		"tls://"+listen(t, silent))
	_, err = mute.Next(background)
	says(t, err, "the TLS handshake was not complete within 50ms")
}

func TestAnInsecureConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	for option, config := range map[string]*tls.Config{
		"InsecureSkipVerify": {InsecureSkipVerify: true},
		"ServerName":         {ServerName: "other"},
		"MinVersion":         {MinVersion: tls.VersionTLS11},
	} {
		_, err := NewClient([]string{"tls://ids"}, &Options{TLS: config})
		as[*ConfigurationError](t, err)
		says(t, err, option)
	}
	dir := certificateDir(t)
	for part, files := range map[string][3]string{
		"cannot read the CAs": {filepath.Join(dir, "none.pem"), "", ""},
		"no certificate of a": {filepath.Join(dir, "ca.key"), "", ""},
		"and its key":         {filepath.Join(dir, "ca.pem"), filepath.Join(dir, "alice.pem"), filepath.Join(dir, "good.key")},
		"cannot read the cer": {filepath.Join(dir, "ca.pem"), "", filepath.Join(dir, "good.key")},
	} {
		_, err := LoadTLS(files[0], files[1], files[2])
		as[*ConfigurationError](t, err)
		says(t, err, part)
	}
}

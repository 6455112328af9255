package ipseity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"ipseity/internal/address"
)

const (
	// attemptDelay is how long two attempts at addresses of a name are apart, unless the first fails before: the Connection
	// Attempt Delay that RFC 8305 recommends (section 5). Most connections are there before, so the second attempt is rare.
	attemptDelay = 250 * time.Millisecond
	// attemptDelayMin is the shortest time between two attempts, where many addresses share a short timeout. RFC 8305 forbids
	// less (section 5).
	attemptDelayMin = 10 * time.Millisecond
)

// dialer makes connections. The standard library's own way tries the addresses of one family one after the other, and
// gives the first of them up to two seconds. A silent address would use up the whole time, so it is done here.
type dialer struct {
	timeout time.Duration
	tls     *tls.Config
	// The network, which tests replace.
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	connect func(ctx context.Context, address netip.AddrPort) (net.Conn, error)
}

func newDialer(timeout time.Duration, config *tls.Config) *dialer {
	var plain net.Dialer
	return &dialer{
		timeout: timeout,
		tls:     config,
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		connect: func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
			return plain.DialContext(ctx, "tcp", address.String())
		},
	}
}

// dial looks a server's name up, connects to the first of its addresses that accepts, and makes the TLS handshake if the
// server speaks TLS, all within the timeout.
func (d *dialer) dial(ctx context.Context, server address.Address) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.reach(ctx, server)
	if err == nil && server.TLS {
		conn, err = handshake(ctx, d.tls, conn, server.Host)
	}
	var timeout *timeoutError
	if errors.As(err, &timeout) {
		timeout.text = fmt.Sprintf("%s within %v", timeout.text, d.timeout)
	}
	return conn, err
}

func (d *dialer) reach(ctx context.Context, server address.Address) (net.Conn, error) {
	ips, err := d.lookup(ctx, server.Host)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, &timeoutError{"the name could not be looked up"}
	case err != nil:
		return nil, fmt.Errorf("cannot look up the name: %w", err)
	case len(ips) == 0:
		return nil, errors.New("the name has no address")
	}
	return d.race(ctx, interleaved(ips, server.Port))
}

// interleaved is the order in which addresses are tried: the two families take turns, and that of the first address
// begins (RFC 8305, section 4). Each address stands there once.
func interleaved(ips []netip.Addr, port uint16) []netip.AddrPort {
	var families [2][]netip.AddrPort
	seen := make(map[netip.Addr]bool)
	firstIsIPv4 := ips[0].Unmap().Is4()
	for _, ip := range ips {
		ip = ip.Unmap()
		if seen[ip] {
			continue
		}
		seen[ip] = true
		family := 0
		if ip.Is4() != firstIsIPv4 {
			family = 1
		}
		families[family] = append(families[family], netip.AddrPortFrom(ip, port))
	}
	order := make([]netip.AddrPort, 0, len(seen))
	for turn := 0; len(order) < len(seen); turn++ {
		for _, family := range families {
			if turn < len(family) {
				order = append(order, family[turn])
			}
		}
	}
	return order
}

// attempt is what came of connecting to the address at this place.
type attempt struct {
	place int
	conn  net.Conn
	err   error
}

// race connects to the first of the addresses that accepts. The next attempt begins when one has failed, or after a
// while, and the earlier ones go on meanwhile (RFC 8305, section 5).
func (d *dialer) race(ctx context.Context, addresses []netip.AddrPort) (net.Conn, error) {
	// Its end ends the attempts that nobody needs any more.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	attempts := make(chan attempt)
	failures := make([]error, len(addresses))
	begun := 0
	for ended := 0; ended < len(addresses); {
		var next <-chan time.Time
		if begun < len(addresses) {
			go d.attempt(ctx, begun, addresses[begun], attempts)
			begun++
			if begun < len(addresses) {
				timer := time.NewTimer(pause(ctx, len(addresses)-begun))
				defer timer.Stop()
				next = timer.C
			}
		}
		select {
		case attempt := <-attempts:
			if attempt.err == nil {
				return attempt.conn, nil
			}
			failures[attempt.place] = attempt.err
			ended++
		case <-next:
		case <-ctx.Done():
			return nil, connectFailed(addresses[:begun], failures)
		}
	}
	return nil, connectFailed(addresses, failures)
}

func (d *dialer) attempt(ctx context.Context, place int, address netip.AddrPort, attempts chan<- attempt) {
	conn, err := d.connect(ctx, address)
	select {
	case attempts <- attempt{place, conn, err}:
	case <-ctx.Done():
		// Another one was faster, or the time is over.
		if err == nil {
			conn.Close()
		}
	}
}

// pause is how long to wait for a result while so many attempts have not begun. They share what is left, so that all of
// them begin in time.
func pause(ctx context.Context, others int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return attemptDelay
	}
	return min(max(time.Until(deadline)/time.Duration(others+1), attemptDelayMin), attemptDelay)
}

// connectError says which addresses did not accept, and why.
type connectError struct {
	text   string
	causes []error
}

func (e *connectError) Error() string   { return e.text }
func (e *connectError) Unwrap() []error { return e.causes }

func connectFailed(addresses []netip.AddrPort, failures []error) error {
	failed := &connectError{}
	var texts []string
	timedOut := true
	for i, address := range addresses {
		text := "no answer"
		// An attempt that the end of the time has cut off has no failure, or a useless one.
		if err := failures[i]; err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			text = reason(err)
			failed.causes = append(failed.causes, err)
			timedOut = false
		}
		texts = append(texts, address.String()+": "+text)
	}
	failed.text = "cannot connect to " + strings.Join(texts, ", or to ")
	if timedOut {
		return &timeoutError{"no connection to " + joined(addresses)}
	}
	return failed
}

func joined(addresses []netip.AddrPort) string {
	texts := make([]string, len(addresses))
	for i, address := range addresses {
		texts[i] = address.String()
	}
	return strings.Join(texts, " or ")
}

// reason is what the operating system says, without the addresses that the standard library puts before it.
func reason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// isReset reports whether the connection is gone without a goodbye: the other side has reset it, or has not answered the
// operating system's own question whether it is still there.
func isReset(err error) bool {
	for _, gone := range []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

package ipseity

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"ipseity/internal/address"
)

func ips(texts ...string) []netip.Addr {
	var ips []netip.Addr
	for _, text := range texts {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips
}

func TestTheFamiliesTakeTurns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ ips, order []netip.Addr }{
		{ips("10.0.0.1"), ips("10.0.0.1")},
		{ips("::1", "::2", "10.0.0.1", "::3"), ips("::1", "10.0.0.1", "::2", "::3")},
		{ips("10.0.0.1", "10.0.0.2", "::1", "10.0.0.1"), ips("10.0.0.1", "::1", "10.0.0.2")},
		{ips("::ffff:10.0.0.1", "::1"), ips("10.0.0.1", "::1")},
	} {
		order := interleaved(test.ips, 1)
		if len(order) != len(test.order) {
			t.Fatal(order)
		}
		for i := range order {
			if order[i] != netip.AddrPortFrom(test.order[i], 1) {
				t.Error(order, test.order)
			}
		}
	}
}

// network is one in which a test says what each address does.
type network struct {
	mu    sync.Mutex
	tried []string
	// What connecting to an address comes to. Others are silent.
	does map[string]func() (net.Conn, error)
}

func (n *network) connect(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	ip := address.Addr().String()
	n.mu.Lock()
	n.tried = append(n.tried, ip)
	does := n.does[ip]
	n.mu.Unlock()
	if does != nil {
		return does()
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func refuses() (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
}

func testDialer(n *network, timeout time.Duration, addresses ...string) *dialer {
	d := newDialer(timeout, nil)
	d.lookup = func(context.Context, string) ([]netip.Addr, error) { return ips(addresses...), nil }
	d.connect = n.connect
	return d
}

func TestASilentAddressDoesNotUseUpTheTime(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	n := &network{does: map[string]func() (net.Conn, error){
		"10.0.0.1": refuses,
		"::3":      func() (net.Conn, error) { return ours, nil },
	}}
	conn, err := testDialer(n, patience, "::1", "10.0.0.1", "::2", "::3").dial(background, address.Address{Host: "ids", Port: 1})
	if err != nil || conn != ours {
		t.Fatal(conn, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.tried) != 4 {
		t.Fatal(n.tried)
	}
}

// slowConn is a connection that comes late and tells when it is closed.
type slowConn struct {
	net.Conn
	closed chan struct{}
}

func (c *slowConn) Close() error { close(c.closed); return nil }

func TestAConnectionThatNobodyNeedsAnyMoreIsClosed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	late := &slowConn{closed: make(chan struct{})}
	quick := &slowConn{closed: make(chan struct{})}
	n := &network{does: map[string]func() (net.Conn, error){
		"10.0.0.1": func() (net.Conn, error) { <-release; return late, nil },
		"10.0.0.2": func() (net.Conn, error) { return quick, nil },
	}}
	conn, err := testDialer(n, patience, "10.0.0.1", "10.0.0.2").dial(background, address.Address{Host: "ids", Port: 1})
	if err != nil || conn != quick {
		t.Fatal(conn, err)
	}
	close(release)
	select {
	case <-late.closed:
	case <-time.After(patience):
		t.Fatal("the late connection stays open")
	}
}

func TestTheErrorNamesEveryAddress(t *testing.T) {
	t.Parallel()
	n := &network{does: map[string]func() (net.Conn, error){"10.0.0.1": refuses}}
	_, err := testDialer(n, 100*time.Millisecond, "10.0.0.1", "::1").dial(background, address.Address{Host: "ids", Port: 7})
	says(t, err, "cannot connect to 10.0.0.1:7: connection refused, or to [::1]:7: no answer")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
	_, err = testDialer(n, 20*time.Millisecond, "::1", "::2").dial(background, address.Address{Host: "ids", Port: 7})
	says(t, err, "no connection to [::1]:7 or [::2]:7 within 20ms")
	_, err = testDialer(n, time.Second).dial(background, address.Address{Host: "ids", Port: 7})
	says(t, err, "the name has no address")
	slow := newDialer(20*time.Millisecond, nil)
	slow.lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
	_, err = slow.dial(background, address.Address{Host: "ids", Port: 7})
	says(t, err, "the name could not be looked up within 20ms")
	fails := newDialer(patience, nil)
	fails.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	_, err = fails.dial(background, address.Address{Host: "ids", Port: 7})
	says(t, err, "cannot look up the name: no such host")
}

func TestARealNameIsLookedUp(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	_, port, _ := net.SplitHostPort(server.address)
	client := newTestClient(t, Options{CallTimeout: patience, ConnectTimeout: patience}, "localhost:"+port)
	must(client.Next(background))(t)
}

func TestAttemptsShareTheTimeThatIsLeft(t *testing.T) {
	t.Parallel()
	if delay := pause(background, 3); delay != attemptDelay {
		t.Fatal(delay)
	}
	for _, test := range []struct {
		left        time.Duration
		others      int
		least, most time.Duration
	}{
		{time.Hour, 1, attemptDelay, attemptDelay},
		{time.Second, 9, 50 * time.Millisecond, 100 * time.Millisecond},
		{time.Millisecond, 9, attemptDelayMin, attemptDelayMin},
	} {
		ctx, cancel := context.WithTimeout(background, test.left)
		if delay := pause(ctx, test.others); delay < test.least || delay > test.most {
			t.Error(test, delay)
		}
		cancel()
	}
}

func TestTheRosterPicksWhoIsNotAvoidedAndThenWhoIsFreeFirst(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := newRoster(make([]address.Address, 3), 1)
	tried := map[int]bool{}
	next := func(at time.Duration) int {
		place, ok := r.pick(now.Add(at), func(place int) bool { return tried[place] })
		if !ok {
			return -1
		}
		return place
	}
	if next(0) != 1 {
		t.Fatal("the current server is first")
	}
	r.failed(1, errors.New("x"), now)
	if next(0) != 2 {
		t.Fatal("then the next one of the list")
	}
	r.failed(2, errors.New("x"), now.Add(-time.Millisecond))
	if next(0) != 0 {
		t.Fatal("then the one after it")
	}
	tried[0] = true
	if next(0) != 2 {
		t.Fatal("of those that are avoided, the one whose time is over first")
	}
	tried[2] = true
	if next(0) != 1 {
		t.Fatal("and then the other")
	}
	tried[1] = true
	if next(0) != -1 {
		t.Fatal("all were tried")
	}
	tried = map[int]bool{}
	if next(time.Second) != 1 {
		t.Fatal("its time is over, so it is first again")
	}
	r.answered(0)
	if next(time.Second) != 0 {
		t.Fatal("who answered last is first")
	}
	want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}
	for failures, seconds := range want {
		if avoidance(failures) != seconds*time.Second {
			t.Fatal(failures, avoidance(failures))
		}
	}
	if avoidance(1<<30) != avoidMax {
		t.Fatal("the time overflows")
	}
}

func TestWaitsAreJitteredAndBounded(t *testing.T) {
	t.Parallel()
	most := make([]time.Duration, 6)
	for run := 0; run < 2000; run++ {
		var tries tries
		for round := range most {
			most[round] = max(most[round], tries.nextWait())
		}
	}
	for round, bound := range []time.Duration{50, 100, 200, 400, 400, 400} {
		bound *= time.Millisecond
		if most[round] > bound || most[round] < bound*3/4 {
			t.Error(round, most[round])
		}
	}
}

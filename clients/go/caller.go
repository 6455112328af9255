package ipseity

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// countMaxDefault is what a server allows for one request unless its operator has set another number. It counts until the
// server has said its own.
const countMaxDefault = 1000

// caller makes calls: each goes to one server after the other until one answers. All calls share one connection, and one
// roster of servers.
type caller struct {
	*settings
	roster   *roster
	dialer   *dialer
	counters counters
	// Whether a helloRequest goes in front.
	greets bool
	// Told that a server of this pid does not know any more what it has handed out. May be nil.
	onDoubt func(pid int)
	// What the last server that said it allows for one request.
	countMax atomic.Uint32
	// The newest identity that is known, 0 if there is none.
	newest atomic.Int64

	// Ends with close, and ends connecting.
	life context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	closed bool
	// The connection, unless it has ended.
	open *link
	// Somebody connects, and all who need a connection wait for that.
	connecting *connecting
	// A server broke the protocol while no call waited for it. The next call says so.
	fault error
}

// connecting is one connection that is being made.
type connecting struct {
	// The place of the server in the list.
	place int
	// Closed when link or err is there.
	done chan struct{}
	link *link
	err  error
}

func newCaller(s *settings, greets bool) *caller {
	c := &caller{
		settings: s,
		roster:   newRoster(s.servers, s.first),
		dialer:   newDialer(s.ConnectTimeout, s.TLS),
		greets:   greets,
	}
	c.countMax.Store(countMaxDefault)
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// see raises the newest identity that is known.
func (c *caller) see(id ID) {
	for {
		known := c.newest.Load()
		if int64(id) <= known || c.newest.CompareAndSwap(known, int64(id)) {
			return
		}
	}
}

func (c *caller) newestKnown() ID {
	return ID(c.newest.Load())
}

// call does a job, at whatever server answers, within the time of a call.
func (c *caller) call(ctx context.Context, j *job) error {
	limited, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	var tries tries
	for {
		if limited.Err() != nil {
			return c.timeUp(ctx, &tries, -1)
		}
		link, err := c.link(limited, &tries)
		if err == nil {
			tries.last = link.place
			if err = c.ask(limited, link, j); err == nil && j.left == 0 {
				return nil
			}
		}
		if err = c.goOn(limited, &tries, link, err); err != nil {
			if err == limited.Err() {
				return c.timeUp(ctx, &tries, tries.last)
			}
			return err
		}
	}
}

// goOn decides whether a call goes on after what came of a try: nil if it does.
func (c *caller) goOn(ctx context.Context, tries *tries, link *link, err error) error {
	var failed *serverFailed
	var stale *wentStale
	switch {
	case err == nil:
		// The server has said meanwhile how much it gives at a time. The rest is asked for in smaller parts.
		return nil
	case errors.As(err, &failed):
		tries.failed(len(c.servers), failed.place, failed.cause)
		return nil
	case errors.As(err, &stale):
		if tries.mayRepeat(len(c.servers), stale.place) {
			return nil
		}
		if c.note(link, stale.place, stale.cause) {
			c.tell(stale.place, stale.cause)
		}
		tries.failed(len(c.servers), stale.place, stale.cause)
		return nil
	case errors.Is(err, errAllTried):
		if tries.waitingIsVain() {
			return &UnavailableError{Failures: c.roster.failuresWith(tries.causes, nil)}
		}
		return c.wait(ctx, tries.nextWait())
	default:
		return err
	}
}

// ask sends the requests of a job on a connection and waits for the replies.
func (c *caller) ask(ctx context.Context, link *link, j *job) error {
	countMax, most := link.countMaxKnown(), inFlightMax
	if countMax == 0 {
		// One small request goes with the helloRequest. The rest follows when the server has said how much it gives at a time.
		countMax, most = min(c.countMax.Load(), blockCountFirst), 1
	}
	requests := j.requests(countMax, most)
	link.send(requests)
	for i, request := range requests {
		select {
		case <-request.done:
		case <-ctx.Done():
			abandon(requests[i:])
			return ctx.Err()
		}
		switch {
		case request.err == nil:
			j.left -= int64(request.count)
			j.take(request.block, j.left == 0)
		case !j.whole && isTooMany(request, link.countMaxKnown()):
		default:
			abandon(requests[i+1:])
			return request.err
		}
	}
	return nil
}

// isTooMany reports whether a request asked for more than the server gives at a time, which it had not said before.
func isTooMany(request *request, countMax uint32) bool {
	var refused *RefusedError
	return errors.As(request.err, &refused) && refused.Reply.Code == CodeBadCount && countMax > 0 && request.count > countMax
}

// errAllTried says that a call has tried all servers in this round.
var errAllTried = errors.New("all servers were tried")

// link is the open connection, or a new one to the server whose turn it is.
func (c *caller) link(ctx context.Context, tries *tries) (*link, error) {
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
		return nil, ErrClosed
	case c.fault != nil:
		err := c.fault
		c.fault = nil
		c.mu.Unlock()
		return nil, err
	case c.open != nil && c.open.canBeUsed():
		link := c.open
		c.mu.Unlock()
		return link, nil
	}
	making := c.connecting
	if making == nil {
		place, ok := c.roster.pick(time.Now(), tries.wasTried)
		if !ok {
			c.mu.Unlock()
			return nil, errAllTried
		}
		making = &connecting{place: place, done: make(chan struct{})}
		c.connecting = making
		go c.connect(making)
	}
	c.mu.Unlock()
	tries.last = making.place
	select {
	case <-making.done:
		return making.link, making.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.life.Done():
		return nil, ErrClosed
	}
}

// connect is the goroutine that makes a connection. It has a time of its own: those who wait for it may leave.
func (c *caller) connect(making *connecting) {
	defer close(making.done)
	place := making.place
	conn, err := c.dialer.dial(c.life, c.roster.address(place))
	if err == nil {
		c.counters.connects.Add(1)
		if c.OnConnect != nil {
			hook(func() { c.OnConnect(c.roster.address(place).String()) })
		}
	}
	c.mu.Lock()
	c.connecting = nil
	isClosed := c.closed
	switch {
	case isClosed:
		making.err = ErrClosed
	case err != nil:
		making.err = &serverFailed{place, err}
		c.note(nil, place, err)
	default:
		making.link = newLink(c, place, conn)
		c.open = making.link
	}
	c.mu.Unlock()
	switch {
	case isClosed && conn != nil:
		_ = conn.Close()
	case !isClosed && err != nil:
		c.tell(place, err)
	}
}

// linkEnded is told once of each connection that has ended, before those who wait on it are.
func (c *caller) linkEnded(link *link, why error, pid int, isTold bool) {
	var failed *serverFailed
	var violation *ProtocolError
	isNew := errors.As(why, &failed) && c.note(link, failed.place, failed.cause)
	c.mu.Lock()
	if c.open == link {
		c.open = nil
	}
	if !isTold && errors.As(why, &violation) {
		c.fault = why
	}
	c.mu.Unlock()
	if !isNew {
		return
	}
	var reply *ErrorReply
	if c.onDoubt != nil && pid >= 0 && errors.As(failed.cause, &reply) && reply.Code.doubtful() {
		c.onDoubt(pid)
	}
	c.tell(failed.place, failed.cause)
}

// isTold notes that a call is told why a connection has ended, so the next one need not be.
func (c *caller) isTold(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == why {
		c.fault = nil
	}
}

// note notes that a server has failed. It is false if that was noted before, for the same connection.
func (c *caller) note(link *link, place int, cause error) bool {
	if link != nil && !link.failed.CompareAndSwap(false, true) {
		return false
	}
	c.counters.failures.Add(1)
	c.roster.failed(place, cause, time.Now())
	return true
}

// tell tells those who watch that a server has failed. The server is avoided by then.
func (c *caller) tell(place int, cause error) {
	if c.OnFailover != nil {
		hook(func() { c.OnFailover(c.roster.address(place).String(), cause) })
	}
}

// wait lets a time pass.
func (c *caller) wait(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.life.Done():
		return ErrClosed
	}
}

// timeUp is the error of a call whose time is over: its caller's, or that of every call. The server at the place waitedFor,
// if it is one, is the one that it waited for in the end.
func (c *caller) timeUp(ctx context.Context, tries *tries, waitedFor int) error {
	causes := append([]error(nil), tries.causes...)
	if waitedFor >= 0 {
		if causes == nil {
			causes = make([]error, len(c.servers))
		}
		if causes[waitedFor] == nil {
			causes[waitedFor] = timeoutf("no reply within the time of the call")
		}
	}
	failures := c.roster.failuresWith(causes, timeoutf("it was not its turn within the time of the call"))
	if ctx.Err() != nil {
		return ended(ctx, failures)
	}
	return &UnavailableError{Failures: failures}
}

// close ends the connection and all calls.
func (c *caller) close() {
	c.mu.Lock()
	link := c.open
	c.closed = true
	c.mu.Unlock()
	c.end()
	if link != nil {
		link.end(ErrClosed)
	}
}

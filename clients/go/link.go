package ipseity

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ipseity/internal/wire"
)

const (
	// inFlightMax is the most requests that are under way on one connection. Their replies together, 15 KiB, fit the smallest
	// socket buffers in use, so a server is never kept from reading because nobody reads its replies. Further requests wait
	// for their turn.
	inFlightMax = 1024
	// readBytes is how much is read at once. The longest frame is a ninth of it.
	readBytes = 4096
)

// link is one connection to one server. One goroutine writes all requests and another reads all replies, which come in
// the order of the requests. It never tries another server. However it ends, each request on it is finished.
type link struct {
	caller *caller
	// The place of the server in the list.
	place int
	conn  net.Conn

	// Has an item when there may be something to write.
	wake chan struct{}
	// Closed at the end, and when the end has been noted.
	done, settled chan struct{}
	// Its failure has been noted.
	failed atomic.Bool

	mu sync.Mutex
	// Requests that are not written yet.
	queue []*request
	// Requests that were written, or are being written, and have no reply yet.
	awaited []*request
	// Why it has ended, or nil.
	ended error
	// A helloRequest goes in front of the first request.
	greets bool
	// A request has been answered here.
	used bool
	// When the reader gives up: on a reply, or on a connection that nobody uses.
	deadline time.Time
	// The deadline is that of a reply.
	awaits bool
	// A frame has begun to come, and nothing had been asked then.
	partial, unasked bool
	// The pid of the server, or -1 if it is not known yet.
	pid int
	// The most that a request may ask for, or 0 if it is not known yet.
	countMax uint32
	// The greatest identity that came here.
	last ID
}

// serverFailed says that a server could not be reached or did not answer, so the next one is tried.
type serverFailed struct {
	place int
	cause error
}

func (e *serverFailed) Error() string { return e.cause.Error() }

// wentStale says that the connection was closed while nothing of a reply had come. The server has not failed: the
// connection is made again once.
type wentStale struct {
	place int
	cause error
}

func (e *wentStale) Error() string { return e.cause.Error() }

// newLink begins to serve requests on a connection.
func newLink(caller *caller, place int, conn net.Conn) *link {
	l := &link{
		caller:  caller,
		place:   place,
		conn:    conn,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		settled: make(chan struct{}),
		greets:  caller.greets,
		pid:     -1,
	}
	l.arm(caller.IdleMax)
	go l.read()
	go l.write()
	return l
}

// send puts requests in line. Each will be finished, with a reply or an error.
func (l *link) send(requests []*request) {
	l.mu.Lock()
	ended := l.ended
	if ended == nil {
		l.queue = append(l.queue, requests...)
	}
	l.mu.Unlock()
	if ended != nil {
		// The failure of the server is noted before anybody goes on because of it.
		<-l.settled
		l.caller.isTold(ended)
		finishAll(requests, ended)
		return
	}
	l.wakeWriter()
}

// canBeUsed is false if it has not been used for too long. If it is just ending, whoever sends learns why.
func (l *link) canBeUsed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended != nil || l.awaits || time.Now().Before(l.deadline)
}

// countMaxKnown is the most that a request may ask for here, or 0 if the server has not said it yet.
func (l *link) countMaxKnown() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.countMax
}

func (l *link) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write is the goroutine that writes.
func (l *link) write() {
	var frames []byte
	for {
		select {
		case <-l.wake:
		case <-l.done:
			return
		}
		for {
			if frames = l.batch(frames[:0]); len(frames) == 0 {
				break
			}
			_ = l.conn.SetWriteDeadline(time.Now().Add(l.caller.ReplyTimeout))
			_, err := l.conn.Write(frames)
			if isTimeout(err) {
				l.end(l.noReply())
				return
			}
			// After any other error the reader finds out more: what the server said before it closed is worth more than
			// "broken pipe". It has a deadline now.
			l.written()
			if err != nil {
				return
			}
		}
	}
}

// batch takes requests out of the queue, as many as may be under way, and makes frames of them.
func (l *link) batch(frames []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) > 0 && len(l.awaited) < inFlightMax && l.ended == nil {
		next := l.queue[0]
		l.queue = l.queue[1:]
		if next.abandoned.Load() {
			continue
		}
		if l.greets {
			l.greets = false
			l.awaited = append(l.awaited, &request{hello: true})
			frames = wire.AppendHelloRequest(frames, l.caller.Cluster)
		}
		next.after = l.caller.newestKnown()
		l.awaited = append(l.awaited, next)
		l.caller.counters.requests.Add(1)
		frames = wire.AppendIdentityRequest(frames, next.count, uint64(next.after))
	}
	return frames
}

// written lets the time of the next reply begin, unless it runs already.
func (l *link) written() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.awaits && len(l.awaited) > 0 && l.ended == nil {
		l.awaits = true
		l.arm(l.caller.ReplyTimeout)
	}
}

// arm sets the reader's deadline.
func (l *link) arm(timeout time.Duration) {
	l.deadline = time.Now().Add(timeout)
	_ = l.conn.SetReadDeadline(l.deadline)
}

// read is the goroutine that reads.
func (l *link) read() {
	buffer := make([]byte, readBytes)
	filled := 0
	for {
		count, err := l.conn.Read(buffer[filled:])
		filled += count
		used, end := l.take(buffer[:filled])
		filled = copy(buffer, buffer[used:filled])
		if end == nil && err != nil {
			end = l.readFailed(err, filled)
		}
		if end != nil {
			l.end(end)
			return
		}
	}
}

// take handles the frames that are complete, and says how many bytes they have. An error ends the connection.
func (l *link) take(bytes []byte) (used int, end error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wasFull := len(l.awaited) >= inFlightMax
	for end == nil {
		message, length, err := wire.Decode(bytes[used:])
		if err != nil {
			return used, l.broken(bytes[used:], err)
		}
		if length == 0 {
			break
		}
		used += length
		if !l.partial {
			l.unasked = len(l.awaited) == 0
		}
		l.partial = false
		end = l.handle(&message)
	}
	if end != nil {
		return used, end
	}
	if used < len(bytes) && !l.partial {
		l.partial = true
		l.unasked = len(l.awaited) == 0
	}
	if used > 0 {
		if l.awaits = len(l.awaited) > 0; l.awaits {
			l.arm(l.caller.ReplyTimeout)
		} else {
			l.arm(l.caller.IdleMax)
		}
	}
	if wasFull && len(l.queue) > 0 {
		l.wakeWriter()
	}
	return used, nil
}

// handle is told of each message that came.
func (l *link) handle(message *wire.Message) error {
	if message.Kind == wire.KindErrorReply && message.Code.Closes() {
		// It may come before anything was asked: from a server that has no room, say.
		return l.refusedForGood(message)
	}
	if l.unasked {
		return l.violation(fmt.Errorf("%v came, and nothing had been asked", message.Kind))
	}
	asked := l.awaited[0]
	l.awaited = l.awaited[1:]
	switch {
	case message.Kind == wire.KindErrorReply:
		return l.refused(asked, message)
	case asked.hello && message.Kind == wire.KindHelloReply:
		return l.greeted(message.Hello)
	case !asked.hello && message.Kind == wire.KindIdentityReply:
		block, err := l.judge(asked, message)
		if err != nil {
			// It has to hear of it too.
			l.awaited = append([]*request{asked}, l.awaited...)
			return l.violation(err)
		}
		l.answered()
		l.last = block.Last()
		if !asked.abandoned.Load() {
			l.caller.see(block.Last())
		}
		asked.finish(block, nil)
		return nil
	default:
		expected := wire.KindIdentityReply
		if asked.hello {
			expected = wire.KindHelloReply
		}
		l.awaited = append([]*request{asked}, l.awaited...)
		return l.violation(fmt.Errorf("%v came in place of %v", message.Kind, expected))
	}
}

// judge checks that a reply keeps what the protocol promises.
func (l *link) judge(asked *request, reply *wire.Message) (Block, error) {
	if reply.Count != asked.count {
		return Block{}, fmt.Errorf("%d identities were asked for, and %d came", asked.count, reply.Count)
	}
	block, ok := newBlock(reply.First, reply.Count)
	if !ok {
		return Block{}, fmt.Errorf("%d identities from %d on do not exist", reply.Count, reply.First)
	}
	if known := max(asked.after, l.last); block.First() <= known {
		return Block{}, fmt.Errorf("identity %v is not greater than %v, which is known already", block.First(), known)
	}
	if l.pid >= 0 && block.First().PID() != l.pid {
		return Block{}, fmt.Errorf("identities of pid %d came after those of pid %d on one connection", block.First().PID(), l.pid)
	}
	l.pid = block.First().PID()
	return block, nil
}

// greeted is told who the server is.
func (l *link) greeted(hello *wire.Hello) error {
	if expected := l.caller.Cluster; expected != "" && hello.Cluster != expected {
		return l.wrongCluster(fmt.Sprintf("this server is of cluster %q, and the client expects %q", hello.Cluster, expected))
	}
	if hello.CountMax == 0 {
		return l.violation(errors.New("its helloReply allows 0 identities a request"))
	}
	l.pid = int(hello.PID)
	l.countMax = hello.CountMax
	l.caller.countMax.Store(hello.CountMax)
	return nil
}

// refused handles an error in place of one reply, after which the connection goes on.
func (l *link) refused(asked *request, message *wire.Message) error {
	reply := &ErrorReply{Code: Code(message.Code), Message: message.Text}
	if message.Code.Elsewhere() {
		l.awaited = append([]*request{asked}, l.awaited...)
		return &serverFailed{l.place, reply}
	}
	refused := &RefusedError{Server: l.name(), Reply: reply}
	if asked.hello {
		// Without the answer it is not known who this is, so nothing can be asked here.
		return refused
	}
	l.answered()
	asked.finish(Block{}, refused)
	return nil
}

// refusedForGood handles an error after which the server closes.
func (l *link) refusedForGood(message *wire.Message) error {
	reply := &ErrorReply{Code: Code(message.Code), Message: message.Text}
	switch {
	case message.Code.Elsewhere():
		return &serverFailed{l.place, reply}
	case message.Code == wire.ForeignCluster:
		return l.wrongCluster(message.Text)
	case len(l.awaited) > 0 && l.awaited[0].hello:
		return &RefusedError{Server: l.name(), Reply: reply}
	case len(l.awaited) > 0:
		// It answers one request. The others are asked again on another connection.
		l.awaited[0].finish(Block{}, &RefusedError{Server: l.name(), Reply: reply})
		l.awaited = l.awaited[1:]
	}
	return &wentStale{l.place, fmt.Errorf("the server closed the connection: %w", reply)}
}

// answered is told of each answer.
func (l *link) answered() {
	if !l.used {
		l.used = true
		l.caller.roster.answered(l.place)
	}
}

// broken says what bytes mean that are no frame.
func (l *link) broken(bytes []byte, err error) error {
	_, isPlain := l.conn.(*net.TCPConn)
	const alert, handshake, versionMajor = 0x15, 0x16, 0x03
	switch {
	case isPlain && len(bytes) >= 2 && (bytes[0] == alert || bytes[0] == handshake) && bytes[1] == versionMajor:
		return &serverFailed{l.place, &tlsError{text: "it speaks TLS there: write tls:// before its address"}}
	case len(bytes) >= 3 && string(bytes[:3]) == "HTT":
		return l.violation(errors.New("it speaks HTTP there: if it is an Ipseity server, ask the address of its --listen"))
	default:
		return l.violation(err)
	}
}

// readFailed says how a failed read ends the connection, or nil if it does not.
func (l *link) readFailed(err error, partial int) error {
	switch {
	case isTimeout(err):
		return l.timedOut()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
		return l.closedByServer(partial)
	case isRemoteAlert(err):
		return &serverFailed{l.place, alertError(err)}
	default:
		return &serverFailed{l.place, fmt.Errorf("the connection failed: %s", reason(err))}
	}
}

func (l *link) timedOut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case time.Now().Before(l.deadline):
		// A request was written just then, and moved the deadline.
		return nil
	case len(l.awaited) > 0:
		return l.noReply()
	case len(l.queue) > 0:
		// A request is about to be written.
		l.arm(l.caller.ReplyTimeout)
		return nil
	default:
		return &wentStale{l.place, errors.New("the connection was closed because nobody used it")}
	}
}

func (l *link) noReply() error {
	return &serverFailed{l.place, timeoutf("no reply within %v", l.caller.ReplyTimeout)}
}

func (l *link) closedByServer(partial int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case partial > 0:
		return &serverFailed{l.place, fmt.Errorf("the server closed the connection %d bytes into a reply", partial)}
	case l.used:
		return &wentStale{l.place, errors.New("the server closed the connection without a reply")}
	default:
		return &serverFailed{l.place, errors.New("the server closed the connection without a reply")}
	}
}

func (l *link) violation(cause error) error {
	return &ProtocolError{Server: l.name(), Cause: cause}
}

func (l *link) wrongCluster(text string) error {
	return &WrongClusterError{Server: l.name(), Expected: l.caller.Cluster, Message: text}
}

func (l *link) name() string {
	return l.caller.roster.address(l.place).String()
}

// end ends the connection, once, and finishes all its requests.
func (l *link) end(why error) {
	l.mu.Lock()
	if l.ended != nil {
		l.mu.Unlock()
		return
	}
	l.ended = why
	waiting := append(l.awaited, l.queue...)
	l.awaited, l.queue = nil, nil
	pid := l.pid
	l.mu.Unlock()
	close(l.done)
	// TLS says goodbye here.
	_ = l.conn.Close()
	isTold := false
	for _, request := range waiting {
		isTold = isTold || !request.hello && !request.abandoned.Load()
	}
	l.caller.linkEnded(l, why, pid, isTold)
	close(l.settled)
	finishAll(waiting, why)
}

// finishAll finishes requests for the same reason.
func finishAll(requests []*request, why error) {
	for _, request := range requests {
		if !request.hello {
			request.finish(Block{}, why)
		}
	}
}

// isTimeout reports whether a deadline was over that was set here.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded)
}

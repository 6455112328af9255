package ipseity

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ipseity/internal/wire"
)

// patience is how long a test waits for something that should come at once. The machine may be busy.
const patience = 20 * time.Second

// asked is a request that a fake server got.
type asked struct {
	hello   bool
	cluster string
	count   uint32
	after   uint64
}

// peer is the server's side of one connection.
type peer struct {
	conn net.Conn
	// Which connection of its server it is, from 0.
	number int
}

// get reads the next request. It is false at the end of the connection.
func (p *peer) get() (asked, bool) {
	var head [3]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return asked{}, false
	}
	body := make([]byte, int(binary.BigEndian.Uint16(head[:]))-1)
	if _, err := io.ReadFull(p.conn, body); err != nil {
		return asked{}, false
	}
	switch {
	case wire.Kind(head[2]) == wire.KindHelloRequest:
		return asked{hello: true, cluster: string(body[8:])}, true
	case len(body) == 0:
		return asked{count: 1}, true
	default:
		return asked{count: binary.BigEndian.Uint32(body), after: binary.BigEndian.Uint64(body[4:])}, true
	}
}

func (p *peer) send(frames ...[]byte) {
	for _, frame := range frames {
		_, _ = p.conn.Write(frame)
	}
}

// drain reads until the client closes.
func (p *peer) drain() {
	_, _ = io.Copy(io.Discard, p.conn)
}

// reset closes with a reset.
func (p *peer) reset() {
	if conn, ok := p.conn.(*net.TCPConn); ok {
		_ = conn.SetLinger(0)
	}
	_ = p.conn.Close()
}

func frame(kind wire.Kind, body []byte) []byte {
	bytes := binary.BigEndian.AppendUint16(nil, uint16(1+len(body)))
	return append(append(bytes, byte(kind)), body...)
}

func identityReply(first uint64, count uint32) []byte {
	return frame(wire.KindIdentityReply, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, first), count))
}

func text(bytes []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint64(bytes, uint64(len(text))), text...)
}

func helloReply(cluster string, countMax uint32, pid int) []byte {
	body := text(text(nil, cluster), "0.2.0")
	body = binary.BigEndian.AppendUint16(body, 2)
	body = binary.BigEndian.AppendUint32(body, countMax)
	body = binary.BigEndian.AppendUint16(body, uint16(pid))
	return frame(wire.KindHelloReply, append(body, 0))
}

func errorReply(code Code, message string) []byte {
	return frame(wire.KindErrorReply, text(binary.BigEndian.AppendUint16(nil, uint16(code)), message))
}

// fake is a server that a test controls.
type fake struct {
	address  string
	pid      int
	countMax uint32
	cluster  string

	mu          sync.Mutex
	sequence    int64
	requests    []asked
	connections int
	// Answers in its own way, if it returns true.
	special func(p *peer, request asked, number int) bool
}

// listen accepts connections until the test ends, and gives each to serve, in a goroutine of its own.
func listen(t testing.TB, serve func(p *peer)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, serve)
	return listener.Addr().String()
}

func serveOn(t testing.TB, listener net.Listener, serve func(p *peer)) {
	var mu sync.Mutex
	var conns []net.Conn
	var running sync.WaitGroup
	running.Add(1)
	go func() {
		defer running.Done()
		for number := 0; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			running.Add(1)
			p := &peer{conn, number}
			go func() {
				defer running.Done()
				defer conn.Close()
				serve(p)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
}

// newFake is a server that serves as a real one does, unless special says otherwise.
func newFake(t testing.TB, pid int, special func(p *peer, request asked, number int) bool) *fake {
	f := &fake{pid: pid, countMax: 1000, cluster: "ipseity", special: special}
	f.address = listen(t, f.serve)
	return f
}

func (f *fake) serve(p *peer) {
	f.mu.Lock()
	f.connections++
	f.mu.Unlock()
	for number := 0; ; number++ {
		request, ok := p.get()
		if !ok {
			return
		}
		f.mu.Lock()
		f.requests = append(f.requests, request)
		f.mu.Unlock()
		if f.special != nil && f.special(p, request, number) {
			continue
		}
		p.send(f.answer(request))
	}
}

// answer is the right answer to a request.
func (f *fake) answer(request asked) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case request.hello && request.cluster != "" && request.cluster != f.cluster:
		return errorReply(CodeForeignCluster, "this server is of cluster "+f.cluster)
	case request.hello:
		return helloReply(f.cluster, f.countMax, f.pid)
	case request.count == 0 || request.count > f.countMax:
		return errorReply(CodeBadCount, "bad count")
	}
	f.sequence = max(f.sequence, int64(request.after>>pidBits))
	first := (f.sequence+1)<<pidBits | int64(f.pid)
	f.sequence += int64(request.count)
	return identityReply(uint64(first), request.count)
}

// identityRequests are those that it got so far.
func (f *fake) identityRequests() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	var requests []asked
	for _, request := range f.requests {
		if !request.hello {
			requests = append(requests, request)
		}
	}
	return requests
}

func (f *fake) connectionCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connections
}

// deadAddress is one where nobody listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// silent reads and never answers.
func silent(p *peer) { p.drain() }

// at makes a client begin with this server.
func at(place int) func(int) int {
	return func(int) int { return place }
}

func newTestClient(t testing.TB, options Options, servers ...string) *Client {
	t.Helper()
	if options.PickFirst == nil {
		options.PickFirst = at(0)
	}
	client, err := NewClient(servers, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newTestSource(t testing.TB, options Options, servers ...string) *Source {
	t.Helper()
	if options.PickFirst == nil {
		options.PickFirst = at(0)
	}
	source, err := NewSource(servers, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// must fails the test on an error.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// as finds the error of this type, or fails the test.
func as[E error](t testing.TB, err error) E {
	t.Helper()
	var found E
	if !errors.As(err, &found) {
		t.Fatalf("a %T was expected, not %v", found, err)
	}
	return found
}

// says fails the test if a text is not part of the error.
func says(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Fatalf("%q is not in: %v", part, err)
	}
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("this did not happen: %s", what)
		}
	}
}

// ownGoroutines counts the goroutines that this package has started.
func ownGoroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		for _, work := range []string{"ipseity.(*link)", "ipseity.(*caller).connect", "ipseity.(*Source).run", "ipseity.(*dialer)"} {
			if strings.Contains(stack, work) {
				count++
				break
			}
		}
	}
	return count
}

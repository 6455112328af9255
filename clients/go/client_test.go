package ipseity

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var background = context.Background()

func TestIdentitiesIncreaseAndCarryAfter(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	client := newTestClient(t, Options{}, server.address)
	if _, ok := client.Newest(); ok {
		t.Fatal("it has seen nothing yet")
	}
	if id := must(client.Next(background))(t); id != 1025 {
		t.Fatal(id)
	}
	block := must(client.Block(background, 3))(t)
	if block.First() != 2049 || block.Last() != 4097 || block.Len() != 3 {
		t.Fatal(block)
	}
	client.Observe(5122)
	client.Observe(7)
	if id := must(client.Next(background))(t); id != 6145 {
		t.Fatal(id)
	}
	if newest, ok := client.Newest(); !ok || newest != 6145 {
		t.Fatal(newest)
	}
	want := []asked{{count: 1}, {count: 3, after: 1025}, {count: 1, after: 5122}}
	got := server.identityRequests()
	for i := range want {
		if got[i] != want[i] {
			t.Fatal(got)
		}
	}
	counters := Counters{Requests: 3, Identities: 5, Connects: 1}
	if client.Counters() != counters {
		t.Fatal(client.Counters())
	}
}

func TestAServerThatFailsIsLeftAndAvoided(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"closed": deadAddress(t),
		"stopping": newFake(t, 1, func(p *peer, _ asked, _ int) bool {
			p.send(errorReply(CodeStopping, "stopping"))
			return true
		}).address,
		"no room": listen(t, func(p *peer) { p.send(errorReply(CodeTooManyConnections, "full")); p.drain() }),
		"closes":  listen(t, func(p *peer) { p.get() }),
		"resets":  listen(t, func(p *peer) { p.get(); p.reset() }),
		"cut off": listen(t, func(p *peer) { p.get(); p.send(identityReply(1025, 1)[:9]) }),
		"frozen":  listen(t, silent),
		"TLS":     listen(t, func(p *peer) { p.get(); p.send([]byte{0x15, 0x03, 0x03, 0, 2, 2, 70}); p.drain() }),
	} {
		first := first
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := newFake(t, 2, nil)
			var failed []string
			client := newTestClient(t, Options{
				ReplyTimeout: 200 * time.Millisecond,
				CallTimeout:  patience,
				OnFailover:   func(server string, cause error) { failed = append(failed, server+": "+cause.Error()) },
			}, first, second.address)
			for want := ID(1026); want < 10*1024; want += 1024 {
				if id := must(client.Next(background))(t); id != want {
					t.Fatal(id)
				}
			}
			if counters := client.Counters(); counters.Failures != 1 || len(failed) != 1 {
				t.Fatal(counters, failed)
			}
			if second.connectionCount() != 1 {
				t.Fatal(second.connectionCount())
			}
		})
	}
}

func TestAServerThatComesBackIsUsedAgain(t *testing.T) {
	t.Parallel()
	var isDown atomic.Bool
	answer := func(p *peer, _ asked, _ int) bool {
		if isDown.Load() {
			p.send(errorReply(CodeStorage, "the disk failed"))
		}
		return isDown.Load()
	}
	server := newFake(t, 1, answer)
	client := newTestClient(t, Options{CallTimeout: 100 * time.Millisecond}, server.address)
	must(client.Next(background))(t)
	isDown.Store(true)
	_, err := client.Next(background)
	unavailable := as[*UnavailableError](t, err)
	if len(unavailable.Failures) != 1 || as[*ErrorReply](t, err).Code != CodeStorage {
		t.Fatal(err)
	}
	isDown.Store(false)
	eventually(t, "the server is used again", func() bool {
		_, err := client.Next(background)
		return err == nil
	})
}

func TestAnIdleConnectionThatWasClosedIsMadeAgainOnce(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, func(p *peer, _ asked, number int) bool {
		if number == 1 {
			p.reset()
		}
		return number == 1
	})
	client := newTestClient(t, Options{}, server.address)
	for i := 1; i <= 5; i++ {
		if id := must(client.Next(background))(t); id.Sequence() != int64(i) {
			t.Fatal(id)
		}
	}
	if counters := client.Counters(); counters.Connects != 5 || counters.Failures != 0 {
		t.Fatal(counters)
	}
}

func TestACallEndsWithinItsTimeAndNamesEveryServer(t *testing.T) {
	t.Parallel()
	servers := []string{listen(t, silent), deadAddress(t), listen(t, silent)}
	client := newTestClient(t, Options{ReplyTimeout: 50 * time.Millisecond, CallTimeout: 300 * time.Millisecond}, servers...)
	began := time.Now()
	_, err := client.Next(background)
	if took := time.Since(began); took < 300*time.Millisecond || took > patience {
		t.Fatal(took)
	}
	unavailable := as[*UnavailableError](t, err)
	if len(unavailable.Failures) != 3 {
		t.Fatal(unavailable.Failures)
	}
	for i, failure := range unavailable.Failures {
		if failure.Server != servers[i] {
			t.Fatal(failure)
		}
	}
	says(t, err, "none of 3 servers answered: ")
	says(t, err, "no reply within 50ms")
	says(t, err, "connection refused")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
}

func TestACallDoesNotWaitWhereThatIsInVain(t *testing.T) {
	t.Parallel()
	refuses := func(code Code) string {
		return newFake(t, 1, func(p *peer, _ asked, _ int) bool { p.send(errorReply(code, "no")); return true }).address
	}
	servers := []string{refuses(CodeExhausted), refuses(CodeTLSRequired), refuses(CodeCertificateRefused)}
	client := newTestClient(t, Options{CallTimeout: time.Hour}, servers...)
	_, err := client.Next(background)
	if unavailable := as[*UnavailableError](t, err); len(unavailable.Failures) != 3 {
		t.Fatal(err)
	}
	if client.Counters().Failures != 3 {
		t.Fatal(client.Counters())
	}
}

func TestARefusalEndsTheCallAndNotTheConnection(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	other := newFake(t, 2, nil)
	client := newTestClient(t, Options{}, server.address, other.address)
	for _, count := range []int{0, 1001} {
		_, err := client.Block(background, count)
		refused := as[*RefusedError](t, err)
		if refused.Server != server.address || refused.Reply.Code != CodeBadCount {
			t.Fatal(err)
		}
		says(t, err, "refused the request with badCount: bad count (ask for as many as it allows")
	}
	must(client.Next(background))(t)
	if server.connectionCount() != 1 || other.connectionCount() != 0 {
		t.Fatal(server.connectionCount(), other.connectionCount())
	}
	counts := []int{-1}
	// An int of 32 bits cannot be too large.
	if tooLarge := int64(1) << 32; strconv.IntSize == 64 {
		counts = append(counts, int(tooLarge))
	}
	for _, count := range counts {
		_, err := client.Block(background, count)
		as[*ConfigurationError](t, err)
	}
}

func TestARefusalThatClosesLeavesTheOthersToGoOn(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, func(p *peer, request asked, number int) bool {
		if request.count == 7 {
			p.send(errorReply(CodeIncomplete, "too slow"))
			_ = p.conn.Close()
		}
		return request.count == 7
	})
	client := newTestClient(t, Options{}, server.address)
	must(client.Next(background))(t)
	_, err := client.Block(background, 7)
	if as[*RefusedError](t, err).Reply.Code != CodeIncomplete {
		t.Fatal(err)
	}
	must(client.Next(background))(t)
	if counters := client.Counters(); counters.Failures != 0 || counters.Connects != 2 {
		t.Fatal(counters)
	}
}

func TestAReplyThatBreaksThePromisesIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		frames []byte
		says   string
	}{
		"wrong count":     {identityReply(9217, 2), "1 identities were asked for, and 2 came"},
		"not greater":     {identityReply(1025, 1), "identity 1025 is not greater than 1025"},
		"not identities":  {identityReply(1<<63, 1), "do not exist"},
		"sequence 0":      {identityReply(1, 1), "do not exist"},
		"another pid":     {identityReply(9218, 1), "identities of pid 2 came after those of pid 1"},
		"another kind":    {helloReply("ipseity", 1000, 1), "helloReply came in place of identityReply"},
		"no such kind":    {[]byte{0, 3, 99, 1, 2}, "kind 99 came"},
		"wrong length":    {[]byte{0, 12, 2}, "identityReply came with length 12"},
		"length 0":        {[]byte{0, 0}, "a frame of length 0"},
		"HTTP":            {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "it speaks HTTP there"},
		"text not UTF-8":  {errorReply(CodeBadCount, "\xff"), "a text is not UTF-8"},
		"text not closed": {[]byte{0, 12, 255, 0, 32, 0, 0, 0, 0, 0, 0, 0, 2, 'a'}, "a field needs 1 bytes more"},
	} {
		test := test
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFake(t, 1, func(p *peer, _ asked, number int) bool {
				if number == 1 && p.number == 0 {
					p.send(test.frames)
					return true
				}
				return false
			})
			other := newFake(t, 2, nil)
			client := newTestClient(t, Options{}, server.address, other.address)
			must(client.Next(background))(t)
			_, err := client.Next(background)
			if as[*ProtocolError](t, err).Server != server.address {
				t.Fatal(err)
			}
			says(t, err, test.says)
			if newest, _ := client.Newest(); newest != 1025 {
				t.Fatal(newest)
			}
			// The connection is closed, and no other server was asked. The next call makes a new one.
			if id := must(client.Next(background))(t); id != 2049 {
				t.Fatal(id)
			}
			if other.connectionCount() != 0 || server.connectionCount() != 2 {
				t.Fatal(other.connectionCount(), server.connectionCount())
			}
		})
	}
}

func TestWhatNobodyAskedForIsToldToTheNextCall(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, func(p *peer, _ asked, number int) bool {
		if number == 0 && p.number == 0 {
			p.send(append(identityReply(1025, 1), identityReply(2049, 1)...))
			return true
		}
		return false
	})
	client := newTestClient(t, Options{}, server.address)
	must(client.Next(background))(t)
	_, err := client.Next(background)
	as[*ProtocolError](t, err)
	says(t, err, "nothing had been asked")
	must(client.Next(background))(t)
}

func TestTheClusterIsCheckedInTheSameRoundTrip(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	client := newTestClient(t, Options{Cluster: "ipseity"}, server.address)
	must(client.Next(background))(t)
	must(client.Next(background))(t)
	want := []asked{{hello: true, cluster: "ipseity"}, {count: 1}, {count: 1, after: 1025}}
	for i := range want {
		if server.requests[i] != want[i] {
			t.Fatal(server.requests)
		}
	}
	foreign := newTestClient(t, Options{Cluster: "other"}, server.address)
	_, err := foreign.Next(background)
	wrong := as[*WrongClusterError](t, err)
	if wrong.Server != server.address || wrong.Expected != "other" {
		t.Fatal(err)
	}
	// A server that did not look at the name, and identities right behind its answer.
	careless := newFake(t, 1, func(p *peer, request asked, _ int) bool {
		if request.hello {
			p.send(append(helloReply("another", 1000, 1), identityReply(1025, 1)...))
		}
		return true
	})
	fooled := newTestClient(t, Options{Cluster: "ipseity"}, careless.address)
	_, err = fooled.Next(background)
	as[*WrongClusterError](t, err)
	if _, ok := fooled.Newest(); ok {
		t.Fatal("an identity of another cluster was used")
	}
}

func TestACancelledCallShiftsNobodysReplies(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := newFake(t, 1, nil)
	server.special = func(p *peer, request asked, _ int) bool {
		if request.count == 2 {
			<-release
		}
		return false
	}
	client := newTestClient(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	ctx, cancel := context.WithCancel(background)
	cancelled := make(chan error)
	go func() {
		_, err := client.Block(ctx, 2)
		cancelled <- err
	}()
	eventually(t, "the request is there", func() bool { return len(server.identityRequests()) == 1 })
	blocks := make(chan Block)
	go func() {
		block, _ := client.Block(background, 3)
		blocks <- block
	}()
	eventually(t, "the next request was written", func() bool { return client.Counters().Requests == 2 })
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(release)
	if block := <-blocks; block.First() != 3073 || block.Len() != 3 {
		t.Fatal(block)
	}
	if server.connectionCount() != 1 || client.Counters().Identities != 3 {
		t.Fatal(client.Counters())
	}
	_, err := client.Next(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestTheDeadlineOfAContextNamesTheServers(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, Options{}, listen(t, silent))
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	_, err := client.Next(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	as[Error](t, err)
	says(t, err, "before a server answered: 127.0.0.1:")
}

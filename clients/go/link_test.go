package ipseity

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestGoroutinesShareOneConnection(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	client := newTestClient(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	const workers, calls = 16, 200
	var all sync.Map
	var group sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			last := ID(0)
			for i := 0; i < calls; i++ {
				id, err := client.Next(background)
				if _, twice := all.LoadOrStore(id, true); twice || id <= last || err != nil {
					t.Errorf("%v after %v: %v", id, last, err)
					return
				}
				last = id
			}
		}()
	}
	group.Wait()
	if server.connectionCount() != 1 || client.Counters().Identities != workers*calls {
		t.Fatal(server.connectionCount(), client.Counters())
	}
}

func TestNoMoreThan1024RequestsAreUnderWay(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := newFake(t, 1, nil)
	server.special = func(p *peer, _ asked, _ int) bool { <-release; return false }
	client := newTestClient(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	const calls = inFlightMax + 200
	var group sync.WaitGroup
	for i := 0; i < calls; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if _, err := client.Next(background); err != nil {
				t.Error(err)
			}
		}()
	}
	eventually(t, "1024 requests are written", func() bool { return client.Counters().Requests >= inFlightMax })
	time.Sleep(20 * time.Millisecond)
	if requests := client.Counters().Requests; requests != inFlightMax {
		t.Errorf("%d requests are under way", requests)
	}
	close(release)
	group.Wait()
	if counters := client.Counters(); counters.Identities != calls || counters.Connects != 1 {
		t.Fatal(counters)
	}
}

func TestAllCallsOnAConnectionThatFailsGoOn(t *testing.T) {
	t.Parallel()
	frozen := newFake(t, 1, func(*peer, asked, int) bool { return true })
	good := newFake(t, 2, nil)
	client := newTestClient(t, Options{ReplyTimeout: 100 * time.Millisecond, CallTimeout: patience}, frozen.address, good.address)
	var group sync.WaitGroup
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if id, err := client.Next(background); err != nil || id.PID() != 2 {
				t.Error(id, err)
			}
		}()
	}
	group.Wait()
	if counters := client.Counters(); counters.Failures != 1 || counters.Connects != 2 {
		t.Fatal(counters)
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	client := newTestClient(t, Options{IdleMax: 20 * time.Millisecond}, server.address)
	must(client.Next(background))(t)
	eventually(t, "the connection is closed", func() bool { return ownLinks(client.caller) == 0 })
	must(client.Next(background))(t)
	if counters := client.Counters(); counters.Connects != 2 || counters.Failures != 0 {
		t.Fatal(counters)
	}
}

func ownLinks(c *caller) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		return 0
	}
	return 1
}

func TestCloseEndsCallsThatAreUnderWay(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"frozen": listen(t, silent), "dead": deadAddress(t)} {
		address := address
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newTestClient(t, Options{CallTimeout: patience, ReplyTimeout: patience}, address)
			ended := make(chan error)
			go func() {
				_, err := client.Next(background)
				ended <- err
			}()
			time.Sleep(20 * time.Millisecond)
			_ = client.Close()
			if err := <-ended; !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
			_, err := client.Next(background)
			if !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
			as[Error](t, err)
			_ = client.Close()
		})
	}
}

func TestHooksAreCalledAndTheirPanicsIgnored(t *testing.T) {
	t.Parallel()
	good := newFake(t, 2, nil)
	dead := deadAddress(t)
	var connected, failed []string
	client := newTestClient(t, Options{
		OnConnect:  func(server string) { connected = append(connected, server); panic("hook") },
		OnFailover: func(server string, cause error) { failed = append(failed, server); panic("hook") },
	}, dead, good.address)
	must(client.Next(background))(t)
	if len(connected) != 1 || connected[0] != good.address || len(failed) != 1 || failed[0] != dead {
		t.Fatal(connected, failed)
	}
}

func TestWrongOptionsAreConfigurationErrors(t *testing.T) {
	t.Parallel()
	good := []string{"ids"}
	for name, test := range map[string]struct {
		servers []string
		options Options
		says    string
	}{
		"no servers":   {nil, Options{}, "the list of servers is empty"},
		"address":      {[]string{"ids", "http://ids"}, Options{}, "the one scheme"},
		"cluster":      {good, Options{Cluster: "a\nb"}, "it must be 1 to 255 bytes"},
		"timeout":      {good, Options{CallTimeout: -1}, "CallTimeout is -1ns"},
		"idle":         {good, Options{IdleMax: -time.Second}, "IdleMax is -1s"},
		"block":        {good, Options{BlockMax: -1}, "BlockMax is -1"},
		"first":        {good, Options{PickFirst: at(1)}, "PickFirst chose place 1 of a list of 1"},
		"age of block": {good, Options{BlockAgeMax: -1}, "BlockAgeMax"},
	} {
		_, err := NewClient(test.servers, &test.options)
		as[*ConfigurationError](t, err)
		as[Error](t, err)
		says(t, err, test.says)
		if _, err := NewSource(test.servers, &test.options); err == nil {
			t.Fatal(name)
		}
	}
}

func TestClientsSpreadOverTheServers(t *testing.T) {
	t.Parallel()
	seen := make(map[int]bool)
	for i := 0; i < 1000 && len(seen) < 3; i++ {
		settings, err := newSettings([]string{"a", "b", "c"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[settings.first] = true
	}
	if len(seen) != 3 {
		t.Fatal(seen)
	}
}

func TestRepliesMayComeInAnyPieces(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	server.special = func(p *peer, request asked, _ int) bool {
		for _, b := range server.answer(request) {
			p.send([]byte{b})
			time.Sleep(time.Millisecond)
		}
		return true
	}
	client := newTestClient(t, Options{Cluster: "ipseity", ReplyTimeout: patience, CallTimeout: patience}, server.address)
	for i := int64(1); i <= 3; i++ {
		if id := must(client.Next(background))(t); id.Sequence() != i {
			t.Fatal(id)
		}
	}
}

func TestNothingStaysBehindAfterClose(t *testing.T) {
	// Not parallel: it counts the goroutines of all tests.
	server := newFake(t, 1, nil)
	frozen := listen(t, silent)
	before := ownGoroutines()
	for i := 0; i < 20; i++ {
		client, _ := NewClient([]string{server.address, frozen, deadAddress(t)}, &Options{ReplyTimeout: 10 * time.Millisecond})
		source, _ := NewSource([]string{server.address}, nil)
		_, _ = client.Next(background)
		_, _ = source.Next(background)
		ctx, cancel := context.WithTimeout(background, time.Millisecond)
		_, _ = client.Next(ctx)
		cancel()
		_ = client.Close()
		_ = source.Close()
	}
	eventually(t, "all goroutines have ended", func() bool { return ownGoroutines() <= before })
	if before != 0 {
		t.Fatal(before)
	}
}

// Requests that are under way together have the same after. So what came before on the connection counts too.
func TestAReplyIsGreaterThanAllThatCameOnItsConnection(t *testing.T) {
	t.Parallel()
	for _, repeated := range []uint64{1025, 2049, 3073} {
		repeated := repeated
		address := listen(t, func(p *peer) {
			p.get()
			p.get()
			p.send(identityReply(2049, 2), identityReply(repeated, 1))
			p.drain()
		})
		client := newTestClient(t, Options{CallTimeout: patience, ReplyTimeout: patience}, address)
		first := make(chan error)
		go func() {
			_, err := client.Block(background, 2)
			first <- err
		}()
		eventually(t, "the first is written", func() bool { return client.Counters().Requests == 1 })
		_, err := client.Next(background)
		as[*ProtocolError](t, err)
		if err := <-first; err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePIDIsThatOfTheHello(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, func(p *peer, request asked, _ int) bool {
		if !request.hello {
			p.send(identityReply(1026, 1))
		}
		return !request.hello
	})
	client := newTestClient(t, Options{Cluster: "ipseity"}, server.address)
	_, err := client.Next(background)
	as[*ProtocolError](t, err)
	says(t, err, "identities of pid 2 came after those of pid 1")
}

func TestAClientStaysWithTheServerThatAnswered(t *testing.T) {
	t.Parallel()
	good := newFake(t, 2, nil)
	client := newTestClient(t, Options{IdleMax: 10 * time.Millisecond}, deadAddress(t), good.address)
	must(client.Next(background))(t)
	if client.caller.roster.current != 1 {
		t.Fatal("it would begin with the one that has failed")
	}
}

func TestWhatNobodyWaitsForIsNotSeen(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := newFake(t, 1, func(*peer, asked, int) bool { <-release; return false })
	client := newTestClient(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	ctx, cancel := context.WithCancel(background)
	cancelled := make(chan error)
	go func() {
		_, err := client.Next(ctx)
		cancelled <- err
	}()
	eventually(t, "the request is there", func() bool { return len(server.identityRequests()) == 1 })
	cancel()
	<-cancelled
	close(release)
	eventually(t, "the reply was read", func() bool {
		link := client.caller.open
		link.mu.Lock()
		defer link.mu.Unlock()
		return len(link.awaited) == 0
	})
	if _, ok := client.Newest(); ok {
		t.Fatal("a reply that was thrown away was seen")
	}
	if id := must(client.Next(background))(t); id != 2049 {
		t.Fatal(id)
	}
	if requests := server.identityRequests(); requests[1].after != 0 {
		t.Fatal(requests)
	}
}

func TestAConnectionIsMadeAgainOnceAndItsServerFailsOnce(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, Options{}, deadAddress(t))
	link := &link{caller: client.caller}
	stale := &wentStale{0, errors.New("closed")}
	var one, another tries
	for _, step := range []struct {
		call     *tries
		failures int64
	}{{&one, 0}, {&another, 0}, {&one, 1}, {&another, 1}} {
		if err := client.caller.goOn(background, step.call, link, stale); err != nil {
			t.Fatal(err)
		}
		if failures := client.Counters().Failures; failures != step.failures {
			t.Fatal(failures, step)
		}
	}
	if !one.wasTried(0) || !another.wasTried(0) {
		t.Fatal("the calls would try it again at once")
	}
}

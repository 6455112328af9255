package ipseity

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestASourceHandsOutBlocksInOrder(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{Cluster: "ipseity"}, server.address)
	if _, ok := source.Newest(); ok {
		t.Fatal("it has seen nothing yet")
	}
	for i := int64(1); i <= 5000; i++ {
		if id := must(source.Next(background))(t); id.Sequence() != i {
			t.Fatal(id.Sequence(), i)
		}
		if newest, ok := source.Newest(); !ok || newest.Sequence() != i {
			t.Fatal(newest)
		}
	}
	counters := source.Counters()
	if counters.Identities != 5000 || counters.Connects != 1 || counters.Dropped != 0 {
		t.Fatal(counters)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.requests[0] != (asked{hello: true, cluster: "ipseity"}) {
		t.Fatal(server.requests[0])
	}
	// Twice as many each time, in parts of at most 1000.
	want := uint32(16)
	for _, request := range server.requests[1:] {
		if want > 1000 {
			break
		}
		if request.count != want {
			t.Fatal(server.requests)
		}
		want *= 2
	}
}

func TestTheNextBlockIsTakenAheadOfNeed(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{}, server.address)
	for i := 0; i < 7; i++ {
		must(source.Next(background))(t)
	}
	time.Sleep(20 * time.Millisecond)
	if requests := server.identityRequests(); len(requests) != 1 || requests[0].count != 16 {
		t.Fatal(requests)
	}
	// After this one half is left.
	must(source.Next(background))(t)
	eventually(t, "a block is taken ahead", func() bool { return source.Counters().Refills == 2 })
	for i := 0; i < 8; i++ {
		must(source.Next(background))(t)
	}
	if waits := source.Counters().Waits; waits != 1 {
		t.Fatalf("%d calls had to wait", waits)
	}
}

func TestABlockFollowsTheDemand(t *testing.T) {
	t.Parallel()
	now := time.Now()
	source := newTestSource(t, Options{BlockMax: 100}, deadAddress(t))
	for _, step := range []struct {
		since time.Duration
		want  int64
	}{
		{0, 16},
		{99 * time.Millisecond, 32},
		{0, 64},
		{0, 100},
		{0, 100},
		{100 * time.Millisecond, 100},
		{time.Second, 100},
		{time.Second + 1, 50},
		{time.Hour, 25},
		{time.Hour, 16},
		{time.Hour, 16},
	} {
		if size := source.demand(now.Add(step.since), 0); size != step.want {
			t.Fatal(step, size)
		}
		source.asked, source.refilledAt = step.want, now
	}
	// What was dropped was not used.
	if size := source.demand(now, 5); size != 16 {
		t.Fatal(size)
	}
	small := newTestSource(t, Options{BlockMax: 3}, deadAddress(t))
	if size := small.demand(now, 0); size != 3 {
		t.Fatal(size)
	}
}

func TestASourceAsksForNoMoreThanTheServerGives(t *testing.T) {
	t.Parallel()
	for _, countMax := range []uint32{1, 5} {
		server := newFake(t, 1, nil)
		server.countMax = countMax
		source := newTestSource(t, Options{BlockMax: 40}, server.address)
		for i := int64(1); i <= 200; i++ {
			if id := must(source.Next(background))(t); id.Sequence() != i {
				t.Fatal(id)
			}
		}
		for i, request := range server.identityRequests() {
			if i > 0 && request.count > countMax {
				t.Fatal(i, request)
			}
		}
	}
}

func TestASourceKeepsOrderOverGoroutines(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	const workers, calls = 8, 20000
	seen := make([][]ID, workers)
	var group sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		worker := worker
		group.Add(1)
		go func() {
			defer group.Done()
			last := ID(0)
			for i := 0; i < calls; i++ {
				id, err := source.Next(background)
				if err != nil || id <= last {
					t.Errorf("%v after %v: %v", id, last, err)
					return
				}
				last = id
				seen[worker] = append(seen[worker], id)
			}
		}()
	}
	group.Wait()
	all := make(map[ID]bool)
	for _, ids := range seen {
		for _, id := range ids {
			if all[id] {
				t.Fatalf("%v came twice", id)
			}
			all[id] = true
		}
	}
	if counters := source.Counters(); counters.Identities != workers*calls {
		t.Fatal(counters)
	}
}

// The way without a lock, under as much contention as there can be.
func TestNoPlaceOfABlockIsHandedOutTwice(t *testing.T) {
	t.Parallel()
	const workers, calls = 8, 100_000
	source := newTestSource(t, Options{}, deadAddress(t))
	source.current.Store(&chunk{first: 1025, count: workers * calls, mark: -1})
	seen := make([]atomic.Bool, workers*calls)
	begin := make(chan struct{})
	var group sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			<-begin
			for i := 0; i < calls; i++ {
				id, err := source.Next(background)
				if err != nil || seen[id.Sequence()-1].Swap(true) {
					t.Errorf("%v: %v", id, err)
					return
				}
			}
		}()
	}
	close(begin)
	group.Wait()
}

// What one goroutine gets after another one has got something is greater, even if a block ends in between.
func TestOrderHoldsFromOneGoroutineToTheOther(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{BlockMax: 20, CallTimeout: patience}, server.address)
	turns := make(chan ID)
	var group sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for before := range turns {
				id, err := source.Next(background)
				if err != nil || id <= before {
					t.Errorf("%v after %v: %v", id, before, err)
				}
				turns <- id
			}
		}()
	}
	// The turns go around until there were enough of them.
	turns <- 0
	for i := 0; i < 2000; i++ {
		turns <- <-turns
	}
	<-turns
	close(turns)
	group.Wait()
}

func TestWhatIsNotAboveWhatWasObservedIsDropped(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{}, server.address)
	must(source.Next(background))(t)
	// Less than what comes next changes nothing.
	source.Observe(2048)
	if id := must(source.Next(background))(t); id != 2049 {
		t.Fatal(id)
	}
	source.Observe(5000 * 1024)
	if id := must(source.Next(background))(t); id != 5001*1024+1 {
		t.Fatal(id)
	}
	if newest, _ := source.Newest(); newest != 5001*1024+1 {
		t.Fatal(newest)
	}
	source.Observe(9000 * 1024)
	if newest, _ := source.Newest(); newest != 9000*1024 {
		t.Fatal(newest)
	}
	if counters := source.Counters(); counters.Dropped != 14+15 && counters.Dropped != 14+31 || counters.Identities != 3 {
		t.Fatal(counters)
	}
}

func TestABlockThatComesTooLateIsDropped(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := newFake(t, 1, nil)
	server.special = func(p *peer, request asked, number int) bool {
		if number == 1 {
			<-release
		}
		return false
	}
	source := newTestSource(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	ids := make(chan ID)
	go func() {
		id, _ := source.Next(background)
		ids <- id
	}()
	eventually(t, "the request is there", func() bool { return len(server.identityRequests()) == 1 })
	source.Observe(1 << 20)
	close(release)
	if id := <-ids; id <= 1<<20 {
		t.Fatal(id)
	}
	if counters := source.Counters(); counters.Dropped != 16 || counters.Refills != 2 || counters.Identities != 1 {
		t.Fatal(counters)
	}
}

func TestABlockThatIsTooOldIsDropped(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{BlockAgeMax: 30 * time.Millisecond}, server.address)
	must(source.Next(background))(t)
	eventually(t, "the block is dropped", func() bool { return source.Counters().Dropped == 15 })
	if id := must(source.Next(background))(t); id.Sequence() != 17 {
		t.Fatal(id)
	}
	eventually(t, "the next one is dropped too", func() bool { return source.Counters().Dropped > 15 })
}

func TestEachBlockHasItsOwnAge(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{BlockAgeMax: 500 * time.Millisecond}, server.address)
	for i := 0; i < 7; i++ {
		must(source.Next(background))(t)
	}
	time.Sleep(20 * time.Millisecond)
	must(source.Next(background))(t)
	eventually(t, "the next block is there", func() bool { return source.Counters().Refills == 2 })
	// The 8 of the first are dropped, and later those of the second.
	eventually(t, "both are dropped", func() bool { return source.Counters().Dropped == 8+32 })
}

func TestWhatIsLeftOfAPIDInDoubtIsDropped(t *testing.T) {
	t.Parallel()
	for _, code := range []Code{CodePIDConflict, CodeStaleState} {
		var inDoubt atomic.Bool
		server := newFake(t, 1, nil)
		server.special = func(p *peer, request asked, _ int) bool {
			if inDoubt.Load() && !request.hello {
				p.send(errorReply(code, "in doubt"))
				return true
			}
			return false
		}
		other := newFake(t, 2, nil)
		source := newTestSource(t, Options{}, server.address, other.address)
		for i := 0; i < 7; i++ {
			must(source.Next(background))(t)
		}
		inDoubt.Store(true)
		// This one lets the next block be taken, and then 8 are in doubt.
		must(source.Next(background))(t)
		eventually(t, "the rest is dropped", func() bool { return source.Counters().Dropped == 8 })
		if id := must(source.Next(background))(t); id.PID() != 2 {
			t.Fatal(id.Pair())
		}
	}
}

func TestWhatCameInTheSameRefillOfAPIDInDoubtIsDropped(t *testing.T) {
	t.Parallel()
	for _, code := range []Code{CodePIDConflict, CodeStaleState} {
		server := newFake(t, 1, nil)
		server.countMax = 8
		server.special = func(p *peer, request asked, number int) bool {
			switch {
			case request.hello || request.count > 8:
				return false
			case number == 2:
				// Both answers come together, with the next request: what the first one brings is not put away yet.
				return true
			}
			p.send(append(identityReply(1025, 8), errorReply(code, "in doubt")...))
			return true
		}
		other := newFake(t, 2, nil)
		told := make(chan struct{}, 1)
		options := Options{OnFailover: func(string, error) { told <- struct{}{} }}
		source := newTestSource(t, options, server.address, other.address)
		// This one may come before the doubt.
		must(source.Next(background))(t)
		<-told
		for i := 0; i < 8; i++ {
			if id := must(source.Next(background))(t); id.PID() != 2 {
				t.Fatal(id.Pair())
			}
		}
	}
}

func TestARefillThatFailsIsAnErrorForThoseWhoWait(t *testing.T) {
	t.Parallel()
	var isUp atomic.Bool
	server := newFake(t, 1, nil)
	server.special = func(p *peer, request asked, _ int) bool {
		if !isUp.Load() && !request.hello {
			p.send(errorReply(CodeExhausted, "exhausted"))
			return true
		}
		return false
	}
	source := newTestSource(t, Options{}, server.address)
	var group sync.WaitGroup
	for i := 0; i < 5; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := source.Next(background)
			var unavailable *UnavailableError
			if !errors.As(err, &unavailable) {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	isUp.Store(true)
	must(source.Next(background))(t)
}

func TestABlockLastsWhileARefillFails(t *testing.T) {
	t.Parallel()
	var isDown atomic.Bool
	server := newFake(t, 1, nil)
	server.special = func(p *peer, request asked, _ int) bool {
		if isDown.Load() {
			p.send(errorReply(CodeExhausted, "exhausted"))
		}
		return isDown.Load()
	}
	source := newTestSource(t, Options{}, server.address)
	must(source.Next(background))(t)
	isDown.Store(true)
	for i := int64(2); i <= 16; i++ {
		if id := must(source.Next(background))(t); id.Sequence() != i {
			t.Fatal(id)
		}
	}
	_, err := source.Next(background)
	as[*UnavailableError](t, err)
}

func TestASourceGoesOnAtTheNextServerInOrder(t *testing.T) {
	t.Parallel()
	stops := newFake(t, 1, func(p *peer, request asked, number int) bool {
		if number == 5 {
			p.send(errorReply(CodeStopping, "stopping"))
		}
		return number == 5
	})
	good := newFake(t, 2, nil)
	source := newTestSource(t, Options{}, stops.address, good.address)
	last := ID(0)
	for i := 0; i < 3000; i++ {
		id := must(source.Next(background))(t)
		if id <= last {
			t.Fatal(id, last)
		}
		last = id
	}
	// Before a server has said how much it gives at a time, it is asked for little.
	if first := good.identityRequests()[0]; first.count > 16 {
		t.Fatal(first)
	}
}

func TestACallOfASourceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	source := newTestSource(t, Options{CallTimeout: patience, ReplyTimeout: patience}, listen(t, silent))
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error)
	go func() {
		_, err := source.Next(ctx)
		ended <- err
	}()
	eventually(t, "the call waits", func() bool { return source.Counters().Waits == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	timed, cancel := context.WithTimeout(background, 10*time.Millisecond)
	defer cancel()
	_, err := source.Next(timed)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestACancelledCallLosesNoIdentities(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := newFake(t, 1, nil)
	server.special = func(*peer, asked, int) bool { <-release; return false }
	source := newTestSource(t, Options{CallTimeout: patience, ReplyTimeout: patience}, server.address)
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error)
	go func() {
		_, err := source.Next(ctx)
		ended <- err
	}()
	eventually(t, "the call waits", func() bool { return source.Counters().Waits == 1 })
	cancel()
	<-ended
	close(release)
	if id := must(source.Next(background))(t); id != 1025 {
		t.Fatal(id)
	}
}

func TestCloseDropsWhatASourceHolds(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, nil)
	source := newTestSource(t, Options{}, server.address)
	must(source.Next(background))(t)
	_ = source.Close()
	_, err := source.Next(background)
	if !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if counters := source.Counters(); counters.Dropped != 15 || counters.Identities != 1 {
		t.Fatal(counters)
	}
	_ = source.Close()

	waits := newTestSource(t, Options{CallTimeout: patience, ReplyTimeout: patience}, listen(t, silent))
	ended := make(chan error)
	go func() {
		_, err := waits.Next(background)
		ended <- err
	}()
	eventually(t, "the call waits", func() bool { return waits.Counters().Waits == 1 })
	_ = waits.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestTheHookOfARefillIsToldHowMany(t *testing.T) {
	t.Parallel()
	var told atomic.Int64
	source := newTestSource(t, Options{OnRefill: func(identities int) { told.Add(int64(identities)) }}, newFake(t, 1, nil).address)
	must(source.Next(background))(t)
	if told.Load() != 16 || source.Counters().Refills != 1 {
		t.Fatal(told.Load(), source.Counters())
	}
}

// Goroutines take, others observe, and blocks grow old meanwhile. Nothing may come twice or go back.
func TestASourceUnderEverythingAtOnce(t *testing.T) {
	t.Parallel()
	server := newFake(t, 1, func(p *peer, _ asked, number int) bool {
		if number > 40 {
			p.reset()
		}
		return number > 40
	})
	source := newTestSource(t, Options{BlockAgeMax: 2 * time.Millisecond, BlockMax: 500, CallTimeout: patience}, server.address)
	var seen sync.Map
	var group, observers sync.WaitGroup
	stop := make(chan struct{})
	observers.Add(1)
	go func() {
		defer observers.Done()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			newest, _ := source.Newest()
			ahead := newest + 100*1024
			source.Observe(ahead)
			id, err := source.Next(background)
			if err != nil || id <= ahead {
				t.Errorf("%v after %v was observed: %v", id, ahead, err)
				return
			}
			seen.Store(id, true)
		}
	}()
	for worker := 0; worker < 4; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			last := ID(0)
			for i := 0; i < 5000; i++ {
				id, err := source.Next(background)
				if _, twice := seen.LoadOrStore(id, true); err != nil || twice || id <= last {
					t.Errorf("%v after %v: twice %v, %v", id, last, twice, err)
					return
				}
				last = id
			}
		}()
	}
	group.Wait()
	close(stop)
	observers.Wait()
}

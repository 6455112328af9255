package ipseity

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Source keeps a block of identities and takes the next block ahead of need. Most calls take nanoseconds and no network.
// What it returns increases strictly, over all goroutines that share it. Make it with [NewSource].
//
// There is no order between sources: a program that needs its identities to be greater than one that it was sent calls
// [Source.Observe] with that one first. What a source holds when the program ends is never used.
type Source struct {
	caller *caller

	// Where goroutines take from, without the lock. It is replaced only when nothing is left in it, so whoever finds an old
	// one takes nothing.
	current atomic.Pointer[chunk]

	mu     sync.Mutex
	closed bool
	// What comes behind the current chunk, in order.
	queue []*chunk
	// How many identities were handed out of chunks before the current one, and the greatest of them.
	handed int64
	last   ID
	// The greatest identity that was observed.
	observed ID
	// The refill that is under way, or nil.
	refill *refill
	// Closed, and replaced, when a chunk has come or a refill has ended.
	news chan struct{}
	// What the last refill that has brought something asked for, and how many it has brought; when it began, and how many
	// identities had been dropped by then.
	asked, brought int64
	refilledAt     time.Time
	droppedBefore  int64
	// Drops what is too old.
	timer *time.Timer
}

// NewSource is a source of these servers. Nothing is looked up or connected before the first call. Without options each has
// its default. An error is a [ConfigurationError].
func NewSource(servers []string, options *Options) (*Source, error) {
	settings, err := newSettings(servers, options)
	if err != nil {
		return nil, err
	}
	// It always greets, because the answer says how many identities a request may ask for.
	s := &Source{caller: newCaller(settings, true), news: make(chan struct{})}
	s.current.Store(emptyChunk())
	s.caller.onDoubt = s.dropPID
	s.timer = time.AfterFunc(settings.BlockAgeMax, s.dropOld)
	s.timer.Stop()
	return s, nil
}

// Next is one identity, greater than all that this source returned before, and than all that was observed before.
//
// If the source holds one, it is returned at once, and the context is not looked at. Otherwise the call waits for the next
// block, and the errors are those of [Client.Next].
func (s *Source) Next(ctx context.Context) (ID, error) {
	chunk := s.current.Load()
	place := chunk.next.Add(1) - 1
	if place >= chunk.count {
		return s.wait(ctx)
	}
	if place == chunk.mark {
		s.takeAhead()
	}
	return chunk.at(place), nil
}

// Observe makes an identity known that came another way, in a message or from a database. What this source returns from now
// on is greater; what it holds is dropped if it would not be. A negative number, which is no identity, changes nothing.
func (s *Source) Observe(id ID) {
	s.caller.see(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observed = max(s.observed, id)
	if next, ok := s.peek(); ok && id >= next {
		s.drop(func(*chunk) bool { return true })
	}
}

// Newest is the newest identity that this source has returned, or was told by [Source.Observe]. It is false if there is
// none yet.
func (s *Source) Newest() (id ID, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = max(s.last, s.observed)
	current := s.current.Load()
	if taken := current.taken(); taken > 0 {
		id = max(id, current.at(taken-1))
	}
	return id, id > 0
}

// Counters are what the source has counted so far.
func (s *Source) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	counters := s.caller.counters.read()
	counters.Identities = s.handed + s.current.Load().taken()
	return counters
}

// Close drops what the source holds and closes its connection. Calls that wait, and later ones, end with [ErrClosed]. It
// does not wait for them, and it always returns nil.
func (s *Source) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.timer.Stop()
		s.drop(func(*chunk) bool { return true })
		s.tell()
	}
	s.mu.Unlock()
	s.caller.close()
	return nil
}

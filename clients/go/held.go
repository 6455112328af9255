package ipseity

import (
	"context"
	"time"
)

// wait is the way of a call that found nothing in the current chunk: it takes from the next one, and waits for it if need
// be.
func (s *Source) wait(ctx context.Context) (ID, error) {
	var timeout <-chan time.Time
	var awaited *refill
	for {
		s.mu.Lock()
		id, ok := s.take()
		if ok || s.closed {
			s.mu.Unlock()
			if !ok {
				return 0, ErrClosed
			}
			return id, nil
		}
		if awaited != nil && awaited.isOver && awaited.err != nil {
			s.mu.Unlock()
			return 0, awaited.err
		}
		if ctx.Err() == nil {
			s.begin()
		}
		awaited = s.refill
		news := s.news
		s.mu.Unlock()
		if timeout == nil {
			s.caller.counters.waits.Add(1)
			timer := time.NewTimer(s.caller.CallTimeout)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-news:
		case <-ctx.Done():
			return 0, ended(ctx, s.failures())
		case <-timeout:
			return 0, &UnavailableError{Failures: s.failures()}
		}
	}
}

// failures are the last ones of all servers that are known.
func (s *Source) failures() []Failure {
	return s.caller.roster.failuresWith(nil, timeoutf("no reply within the time of the call"))
}

// take takes one identity from the current chunk, or from the next one if nothing is left there. The lock is held.
func (s *Source) take() (ID, bool) {
	for {
		current := s.current.Load()
		// Others take from it at the same time, without the lock.
		if place := current.next.Add(1) - 1; place < current.count {
			if place == current.mark {
				s.begin()
			}
			return current.at(place), true
		}
		if len(s.queue) == 0 {
			return 0, false
		}
		next := s.queue[0]
		s.queue = s.queue[1:]
		s.setMark(next)
		s.replace(next)
	}
}

// setMark decides who of those that take from a chunk lets the next block be taken: the one after whom half of what was
// taken last is left. The chunk must not be in use yet. The lock is held.
func (s *Source) setMark(next *chunk) {
	left := next.count
	for _, chunk := range s.queue {
		left += chunk.count
	}
	switch place := left - 1 - s.brought/2; {
	case place < 0:
		s.begin()
	case place < next.count:
		next.mark = place
	}
}

// replace puts another chunk in the place of the current one, and says how many were left in that. The lock is held.
func (s *Source) replace(next *chunk) (left int64) {
	old := s.current.Load()
	taken := old.finish()
	s.handed += taken
	if taken > 0 {
		s.last = old.at(taken - 1)
	}
	s.current.Store(next)
	return old.count - taken
}

// peek is the identity that would be handed out next, if there is one. The lock is held.
func (s *Source) peek() (ID, bool) {
	current := s.current.Load()
	if taken := current.taken(); taken < current.count {
		return current.at(taken), true
	}
	if len(s.queue) > 0 {
		return s.queue[0].first, true
	}
	return 0, false
}

// takeAhead lets the next block be taken.
func (s *Source) takeAhead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
}

// drop drops the chunks that are meant. The lock is held.
func (s *Source) drop(isMeant func(*chunk) bool) {
	dropped := int64(0)
	if isMeant(s.current.Load()) {
		dropped += s.replace(emptyChunk())
	}
	kept := s.queue[:0]
	for _, chunk := range s.queue {
		if isMeant(chunk) {
			dropped += chunk.count
		} else {
			kept = append(kept, chunk)
		}
	}
	s.queue = kept
	s.caller.counters.dropped.Add(dropped)
}

// dropPID drops what is left of a pid whose server does not know any more what it has handed out.
func (s *Source) dropPID(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(func(chunk *chunk) bool { return chunk.first.PID() == pid })
	if s.refill != nil {
		s.refill.doubted = pid
	}
}

// dropOld drops what is too old, and comes back when the next chunk is.
func (s *Source) dropOld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.drop(func(chunk *chunk) bool { return now.Sub(chunk.came) >= s.caller.BlockAgeMax })
	oldest := s.current.Load()
	if oldest.taken() == oldest.count && len(s.queue) > 0 {
		oldest = s.queue[0]
	}
	if oldest.taken() < oldest.count {
		s.timer.Reset(s.caller.BlockAgeMax - now.Sub(oldest.came))
	}
}

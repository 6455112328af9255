package ipseity

import "time"

const (
	// A refill that begins so soon after the one before shows that blocks are too small for the demand: it is twice as large.
	refillSoon = 100 * time.Millisecond
	// A refill that begins so late shows that they are larger than needed: it is half as large.
	refillLate = time.Second
)

// refill is the taking of one block. Its goroutine alone changes brought.
type refill struct {
	asked, brought int64
	// When it began, and how many identities had been dropped by then.
	began   time.Time
	dropped int64
	// Some of it was put in line.
	isOfUse bool
	isOver  bool
	// What comes of this pid is dropped: its server does not know any more what it has handed out. -1: none.
	doubted int
	// Why it has failed, once it is over.
	err error
}

// begin begins a refill, unless one is under way. The lock is held, here and wherever a remark says so.
func (s *Source) begin() {
	if s.refill != nil || s.closed {
		return
	}
	now, dropped := time.Now(), s.caller.counters.dropped.Load()
	s.refill = &refill{asked: s.demand(now, dropped), began: now, dropped: dropped, doubted: -1}
	go s.run(s.refill)
}

// demand is how many identities a refill asks for that begins now, when so many were dropped since the beginning. It follows
// the last one that has brought something. The lock is held.
func (s *Source) demand(now time.Time, dropped int64) int64 {
	most := int64(s.caller.BlockMax)
	least := min(blockCountFirst, most)
	if s.asked == 0 {
		return least
	}
	size := s.asked
	switch since := now.Sub(s.refilledAt); {
	// What was dropped is gone sooner, but nobody has used it.
	case since < refillSoon && dropped == s.droppedBefore:
		size *= 2
	case since > refillLate:
		size /= 2
	}
	return max(least, min(size, most))
}

// run is the goroutine of a refill.
func (s *Source) run(r *refill) {
	err := s.caller.call(s.caller.life, &job{
		left: r.asked,
		take: func(block Block, isLast bool) { s.land(r, block, isLast) },
	})
	if err != nil {
		s.report(r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.finish(r, err)
		s.tell()
	}
}

// report tells those who watch what a refill has brought. It comes before those who wait are told.
func (s *Source) report(r *refill) {
	if r.brought == 0 {
		return
	}
	s.caller.counters.refills.Add(1)
	if s.caller.OnRefill != nil {
		hook(func() { s.caller.OnRefill(int(r.brought)) })
	}
}

// land puts a block in line, behind what is there.
func (s *Source) land(r *refill, block Block, isLast bool) {
	r.brought += block.count
	if isLast {
		s.report(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// What is not greater came too late: something greater was observed, or a server behind another one gave it. And what came
	// just before a doubt may be put in line just after it.
	if s.closed || block.First() <= s.greatest() || block.First().PID() == r.doubted {
		s.caller.counters.dropped.Add(block.count)
	} else {
		if s.left() == 0 {
			s.timer.Reset(s.caller.BlockAgeMax)
		}
		s.queue = append(s.queue, &chunk{first: block.first, count: block.count, mark: -1, came: time.Now()})
		r.isOfUse = true
	}
	if isLast {
		s.finish(r, nil)
	}
	s.tell()
}

// finish notes that a refill is over. The lock is held.
func (s *Source) finish(r *refill, err error) {
	r.isOver, r.err = true, err
	s.refill = nil
	if r.brought > 0 {
		s.asked, s.brought, s.refilledAt, s.droppedBefore = r.asked, r.brought, r.began, r.dropped
	}
	// The demand was faster. If nothing of it was of use, those who wait begin another one.
	if err == nil && r.isOfUse && s.left() <= s.brought/2 {
		s.begin()
	}
}

// tell wakes those who wait. The lock is held.
func (s *Source) tell() {
	close(s.news)
	s.news = make(chan struct{})
}

// greatest is the greatest identity that was handed out, observed, or is held. The lock is held.
func (s *Source) greatest() ID {
	greatest := max(s.last, s.observed, s.current.Load().end())
	if len(s.queue) > 0 {
		greatest = max(greatest, s.queue[len(s.queue)-1].end())
	}
	return greatest
}

// left is how many identities are held. The lock is held.
func (s *Source) left() int64 {
	current := s.current.Load()
	left := current.count - current.taken()
	for _, chunk := range s.queue {
		left += chunk.count
	}
	return left
}

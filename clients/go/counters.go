package ipseity

import "sync/atomic"

// Counters are what a client or source has counted since it was made.
type Counters struct {
	// Requests is how many requests for identities were written.
	Requests int64
	// Identities is how many were handed out to callers.
	Identities int64
	// Connects is how many connections were made.
	Connects int64
	// Failures is how often a server has failed.
	Failures int64
	// Refills is how many blocks a source has taken.
	Refills int64
	// Waits is how many calls of a source had to wait for a refill.
	Waits int64
	// Dropped is how many identities a source has dropped.
	Dropped int64
}

// counters are the counters as they are counted. A source counts identities in its blocks, because its calls are too quick
// for a counter of their own.
type counters struct {
	requests, identities, connects, failures, refills, waits, dropped atomic.Int64
}

func (c *counters) read() Counters {
	return Counters{
		Requests:   c.requests.Load(),
		Identities: c.identities.Load(),
		Connects:   c.connects.Load(),
		Failures:   c.failures.Load(),
		Refills:    c.refills.Load(),
		Waits:      c.waits.Load(),
		Dropped:    c.dropped.Load(),
	}
}

// hook calls what the user has given, if anything. What goes wrong in there must not stop the work.
func hook(call func()) {
	defer func() { _ = recover() }()
	call()
}

package ipseity

import "sync/atomic"

// request is one frame to a server, and what came of it. Its caller may leave at any time. The reply is still read by
// the connection, so that the replies of others do not shift, and thrown away.
type request struct {
	// A helloRequest; otherwise an identityRequest.
	hello bool
	count uint32
	// What the identities must be greater than, known when it is written.
	after ID

	abandoned atomic.Bool
	// Closed when block and err are there.
	done  chan struct{}
	block Block
	err   error
}

func newRequest(count uint32) *request {
	return &request{count: count, done: make(chan struct{})}
}

func (r *request) finish(block Block, err error) {
	r.block, r.err = block, err
	close(r.done)
}

// abandon leaves requests to themselves.
func abandon(requests []*request) {
	for _, request := range requests {
		request.abandoned.Store(true)
	}
}

// job is what a call wants: so many identities, in as many requests as it takes.
type job struct {
	left int64
	// One request has to bring them all, because they are for a caller who wants one block.
	whole bool
	// Gets each block. The first is greater than everything that was known when its request was written.
	take func(block Block, isLast bool)
}

// requests are for what is left, each of at most countMax identities, and at most so many of them.
func (j *job) requests(countMax uint32, most int) []*request {
	if j.whole {
		return []*request{newRequest(uint32(j.left))}
	}
	var requests []*request
	for left := j.left; left > 0 && len(requests) < most; {
		count := uint32(min(left, int64(countMax)))
		requests = append(requests, newRequest(count))
		left -= int64(count)
	}
	return requests
}

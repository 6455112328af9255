package ipseity

import (
	"errors"
	"math/rand"
	"time"
)

const (
	// When all servers have failed, a call waits for a random time up to this before it tries them again (full jitter, as in M.
	// Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), and up to twice as much each further time.
	backoffFirst = 50 * time.Millisecond
	// backoffMax bounds it, so that a call tries several times within its 2 seconds.
	backoffMax = 400 * time.Millisecond
)

// tries is what a call has tried so far.
type tries struct {
	// The last failure of each server in this call; nil until there is one.
	causes []error
	// Which servers have failed in this round, and which connections were made again.
	failedNow, repeated []bool
	rounds              int
	// The server that was asked last, which counts only where the time is over.
	last int
}

func (t *tries) wasTried(place int) bool {
	return t.failedNow != nil && t.failedNow[place]
}

func (t *tries) failed(servers, place int, cause error) {
	if t.causes == nil {
		t.causes = make([]error, servers)
		t.failedNow = make([]bool, servers)
	}
	t.causes[place] = cause
	t.failedNow[place] = true
}

// mayRepeat is true once for each server: its connection went stale, and is made again.
func (t *tries) mayRepeat(servers, place int) bool {
	if t.repeated == nil {
		t.repeated = make([]bool, servers)
	}
	if t.repeated[place] {
		return false
	}
	t.repeated[place] = true
	return true
}

// nextWait begins another round, and is how long to wait before it.
func (t *tries) nextWait() time.Duration {
	most := backoffMax
	if t.rounds < 3 {
		most = backoffFirst << t.rounds
	}
	t.rounds++
	clear(t.failedNow)
	return time.Duration(rand.Int63n(int64(most) + 1))
}

// waitingIsVain reports whether every server has failed in a way that does not pass soon.
func (t *tries) waitingIsVain() bool {
	for _, cause := range t.causes {
		if !isLasting(cause) {
			return false
		}
	}
	return true
}

func isLasting(cause error) bool {
	var reply *ErrorReply
	var noTLS *tlsError
	switch {
	case errors.As(cause, &reply):
		return reply.Code.lasting()
	case errors.As(cause, &noTLS):
		return noTLS.lasting
	default:
		return false
	}
}

package ipseity

import (
	"sync"
	"time"

	"ipseity/internal/address"
)

const (
	// A server that has failed is avoided for this long, and twice as long after each further failure in a row: so one that
	// is frozen costs its timeout once, and not once for each call.
	avoidFirst = time.Second
	// avoidMax bounds it: a server that comes back is used again within half a minute.
	avoidMax = 30 * time.Second
)

// roster is the list of servers, and what is known of each. It opens nothing and waits for nothing.
type roster struct {
	mu      sync.Mutex
	servers []server
	// The one that answered last, or that is tried first.
	current int
}

type server struct {
	address address.Address
	// How often it has failed since it last answered.
	failures int
	// It is tried after the others until then.
	avoidUntil time.Time
	// The last failure, or nil if it has answered since.
	last error
}

func newRoster(addresses []address.Address, first int) *roster {
	r := &roster{current: first}
	for _, address := range addresses {
		r.servers = append(r.servers, server{address: address})
	}
	return r
}

// pick is the server to try next: the current one or the next of the list that is not avoided, or, if all are avoided,
// the one whose time is over first. It is false if all were tried.
func (r *roster) pick(now time.Time, wasTried func(place int) bool) (place int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for step := range r.servers {
		candidate := (r.current + step) % len(r.servers)
		if wasTried(candidate) {
			continue
		}
		if !now.Before(r.servers[candidate].avoidUntil) {
			return candidate, true
		}
		if !ok || r.servers[candidate].avoidUntil.Before(r.servers[place].avoidUntil) {
			place, ok = candidate, true
		}
	}
	return place, ok
}

// failed notes that a server has failed.
func (r *roster) failed(place int, cause error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	server := &r.servers[place]
	server.avoidUntil = now.Add(avoidance(server.failures))
	server.failures++
	server.last = cause
}

// avoidance is how long a server is avoided that has failed so often before.
func avoidance(before int) time.Duration {
	time := avoidFirst
	for ; before > 0 && time < avoidMax; before-- {
		time *= 2
	}
	return min(time, avoidMax)
}

// answered notes that a server has answered. The next calls go there.
func (r *roster) answered(place int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = place
	server := &r.servers[place]
	server.failures = 0
	server.avoidUntil = time.Time{}
	server.last = nil
}

// failuresWith has the failure of each server: the one of this call, or else the last one that is known, or else the remark.
func (r *roster) failuresWith(ofCall []error, remark error) []Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures := make([]Failure, len(r.servers))
	for place, server := range r.servers {
		cause := remark
		if ofCall != nil && ofCall[place] != nil {
			cause = ofCall[place]
		} else if server.last != nil {
			cause = server.last
		}
		failures[place] = Failure{Server: server.address.String(), Cause: cause}
	}
	return failures
}

// address is that of the server at this place. The list itself never changes.
func (r *roster) address(place int) address.Address {
	return r.servers[place].address
}

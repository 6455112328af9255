package ipseity

import (
	"sync/atomic"
	"time"
)

// gone is where the next place of a chunk stands when its rest may not be used. It is beyond every count, and so far below
// the greatest integer that no number of calls can reach that.
const gone = 1 << 62

// chunk is a block that a source hands out. Goroutines take from it with one atomic addition and no lock, so each place is
// handed out once, and in order.
type chunk struct {
	// The next place to hand out. Beyond count nothing is left.
	next  atomic.Int64
	first ID
	count int64
	// Whoever takes this place lets the source take the next block. -1: nobody. It does not change after the chunk was put
	// where goroutines find it.
	mark int64
	// When it came.
	came time.Time
}

// emptyChunk has nothing to hand out.
func emptyChunk() *chunk {
	return &chunk{mark: -1}
}

// taken is how many were handed out.
func (c *chunk) taken() int64 {
	return min(c.next.Load(), c.count)
}

// finish makes that nothing more is handed out, and says how many were.
func (c *chunk) finish() int64 {
	return min(c.next.Swap(gone), c.count)
}

// at is the identity at a place.
func (c *chunk) at(place int64) ID {
	return c.first + ID(place)<<pidBits
}

// end is the greatest identity in it, 0 if it is empty.
func (c *chunk) end() ID {
	if c.count == 0 {
		return 0
	}
	return c.at(c.count - 1)
}

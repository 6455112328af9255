package ipseity

import "fmt"

const (
	// pidBits is how many of the low bits of an identity are the pid of the server that handed it out.
	pidBits = 10
	// stride is how far apart two identities of one server are at least: one sequence.
	stride = 1 << pidBits

	// PIDMax is the greatest pid of a server.
	PIDMax = stride - 1
	// SequenceMax is the last sequence of a server: it has 53 bits.
	SequenceMax = 1<<53 - 1
	// IDMax is the greatest identity.
	IDMax ID = 1<<63 - 1
)

// ID is an identity: a sequence and the pid of the server that handed it out, in 63 bits. IDs compare as integers do,
// first by sequence and then by pid. It converts to and from int64, and no ID that a server hands out is less than 1024.
//
// In text it is decimal; in JSON it is a string in decimal, because JavaScript rounds numbers above 2^53; in a database it
// is a BIGINT. [ID.Base32] is the form for keys that are text.
type ID int64

// NewID is the identity with this sequence, 0 to [SequenceMax], and this pid, 0 to [PIDMax]. Anything else is a
// [ConfigurationError].
func NewID(sequence int64, pid int) (ID, error) {
	if sequence < 0 || sequence > SequenceMax {
		return 0, configurationf("sequence %d is not 0 to %d", sequence, int64(SequenceMax))
	}
	if pid < 0 || pid > PIDMax {
		return 0, configurationf("pid %d is not 0 to %d", pid, PIDMax)
	}
	return ID(sequence<<pidBits | int64(pid)), nil
}

// Sequence is the number that the server counted to, 1 or more in every identity that was handed out.
func (id ID) Sequence() int64 {
	return int64(id) >> pidBits
}

// PID is the number of the server that handed the identity out, 0 to [PIDMax].
func (id ID) PID() int {
	return int(id & PIDMax)
}

// Block is one or more identities of one server: First, First + 1024, First + 2048, and so on. They were handed out
// together, and nobody else has them. The zero Block is empty.
type Block struct {
	first ID
	count int64
}

// newBlock is false where these are no identities: before sequence 1, beyond the last sequence, or none at all.
func newBlock(first uint64, count uint32) (Block, bool) {
	if first > uint64(IDMax) || first < stride || count == 0 {
		return Block{}, false
	}
	// No overflow: first has 63 bits and the rest at most 42.
	last := first + uint64(count-1)<<pidBits
	return Block{first: ID(first), count: int64(count)}, last <= uint64(IDMax)
}

// First is the smallest identity of the block, 0 in an empty one.
func (b Block) First() ID {
	return b.first
}

// Last is the greatest identity of the block, the same as First in a block of one, 0 in an empty one.
func (b Block) Last() ID {
	if b.count == 0 {
		return 0
	}
	return b.first + ID(b.count-1)<<pidBits
}

// Len is how many identities the block has.
func (b Block) Len() int {
	return int(b.count)
}

// At is the identity at place i, from 0 to Len-1. It panics outside of that, as a slice does.
func (b Block) At(i int) ID {
	if i < 0 || int64(i) >= b.count {
		panic(fmt.Sprintf("ipseity: there is no identity at place %d of a block of %d", i, b.count))
	}
	return b.first + ID(i)<<pidBits
}

// All yields the identities in increasing order. With Go 1.23 or later: for id := range block.All() { ... }
func (b Block) All() func(yield func(ID) bool) {
	return func(yield func(ID) bool) {
		for i := int64(0); i < b.count; i++ {
			if !yield(b.first + ID(i)<<pidBits) {
				return
			}
		}
	}
}

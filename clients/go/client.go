package ipseity

import (
	"context"
	"math"
)

// Client takes identities from servers, one request for each call. What it returns is greater than all that it had seen
// when the call began, whichever server answers. Make it with [NewClient]. All goroutines may use it at once.
type Client struct {
	caller *caller
}

// NewClient is a client of these servers. Nothing is looked up or connected before the first call. Without options each has
// its default. An error is a [ConfigurationError].
func NewClient(servers []string, options *Options) (*Client, error) {
	settings, err := newSettings(servers, options)
	if err != nil {
		return nil, err
	}
	// Without a name there is nothing to ask the server.
	return &Client{caller: newCaller(settings, settings.Cluster != "")}, nil
}

// Next is one identity, greater than all that this client had seen when the call began.
//
// The error is an [UnavailableError], a [RefusedError], a [WrongClusterError], a [ProtocolError] or [ErrClosed], or it wraps
// the error of the context if that has ended.
func (c *Client) Next(ctx context.Context) (ID, error) {
	block, err := c.Block(ctx, 1)
	return block.First(), err
}

// Block is so many identities with one request, all greater than those that this client had seen when the call began. A
// server refuses 0, and more than its --max-count, which is 1000 by default: that is a [RefusedError] with [CodeBadCount].
// A count below 0 or above 2^32 - 1 is a [ConfigurationError]. The other errors are those of [Client.Next].
func (c *Client) Block(ctx context.Context, count int) (Block, error) {
	if count < 0 || int64(count) > math.MaxUint32 {
		return Block{}, configurationf("%d identities cannot be asked for: a request has 0 to %d", count, int64(math.MaxUint32))
	}
	var taken Block
	request := &job{left: int64(count), whole: true, take: func(block Block, _ bool) { taken = block }}
	if err := c.caller.call(ctx, request); err != nil {
		return Block{}, err
	}
	c.caller.counters.identities.Add(int64(count))
	return taken, nil
}

// Observe makes an identity known that came another way, in a message or from a database. What this client returns from now
// on is greater. A server refuses what is too far ahead of its own sequence: [CodeAdvanceTooLarge]. A negative number, which
// is no identity, changes nothing.
func (c *Client) Observe(id ID) {
	c.caller.see(id)
}

// Newest is the newest identity that this client has seen, returned or told by [Client.Observe]. It is false if there is
// none yet.
func (c *Client) Newest() (id ID, ok bool) {
	id = c.caller.newestKnown()
	return id, id > 0
}

// Counters are what the client has counted so far.
func (c *Client) Counters() Counters {
	return c.caller.counters.read()
}

// Close closes the connection. Calls that are under way, and later ones, end with [ErrClosed]. It does not wait for them,
// and it always returns nil.
func (c *Client) Close() error {
	c.caller.close()
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"ipseity"
)

// options are those of open, as the kit writes them.
type options struct {
	Cluster          string `json:"cluster"`
	ConnectTimeoutMS *int64 `json:"connect_timeout_ms"`
	ReplyTimeoutMS   *int64 `json:"reply_timeout_ms"`
	CallTimeoutMS    *int64 `json:"call_timeout_ms"`
	IdleMaxMS        *int64 `json:"idle_max_ms"`
	BlockAgeMaxMS    *int64 `json:"block_age_max_ms"`
	BlockMax         *int   `json:"block_max"`
	First            *int   `json:"first"`
	TLS              *struct {
		CA   string `json:"ca"`
		Cert string `json:"cert"`
		Key  string `json:"key"`
	} `json:"tls"`
}

// taker is what a client and a source have in common.
type taker interface {
	Next(ctx context.Context) (ipseity.ID, error)
	Observe(id ipseity.ID)
	Newest() (ipseity.ID, bool)
	Counters() ipseity.Counters
	Close() error
}

// thing is an open client or source.
type thing struct {
	taker
	connect, failover, refill atomic.Int64
	load                      *load
}

// call is one that was started and may be waited for.
type call struct {
	cancel context.CancelFunc
	done   chan struct{}
	ok     any
	err    error
}

// things are all that is open.
type things struct {
	open  map[string]*thing
	calls map[string]*call
}

func newThings() *things {
	return &things{open: make(map[string]*thing), calls: make(map[string]*call)}
}

func (ts *things) closeAll() {
	for _, thing := range ts.open {
		if thing.load != nil {
			thing.load.stop()
		}
		_ = thing.Close()
	}
	for _, call := range ts.calls {
		call.cancel()
	}
}

func (ts *things) do(c *command) (any, error) {
	switch c.Do {
	case "open":
		return ts.begin(c)
	case "start":
		return ts.start(c)
	case "wait", "cancel":
		call, ok := ts.calls[c.Call]
		if !ok {
			return nil, fmt.Errorf("no call %q was started", c.Call)
		}
		if c.Do == "cancel" {
			call.cancel()
			return fields{}, nil
		}
		<-call.done
		return call.ok, call.err
	}
	thing, ok := ts.open[c.Of]
	if !ok {
		return nil, fmt.Errorf("%q is not open, or there is no command %q", c.Of, c.Do)
	}
	return thing.do(context.Background(), c)
}

func (ts *things) begin(c *command) (any, error) {
	made := &thing{}
	chosen, err := made.options(&c.Options)
	if err != nil {
		return nil, err
	}
	switch c.Kind {
	case "client":
		made.taker, err = ipseity.NewClient(c.Servers, chosen)
	case "source":
		made.taker, err = ipseity.NewSource(c.Servers, chosen)
	default:
		return nil, unsupported("there is no " + c.Kind)
	}
	if err != nil {
		return nil, err
	}
	handle := strconv.Itoa(len(ts.open) + 1)
	ts.open[handle] = made
	return fields{"handle": handle}, nil
}

func (t *thing) options(o *options) (*ipseity.Options, error) {
	chosen := &ipseity.Options{
		Cluster:    o.Cluster,
		OnConnect:  func(string) { t.connect.Add(1) },
		OnFailover: func(string, error) { t.failover.Add(1) },
		OnRefill:   func(int) { t.refill.Add(1) },
	}
	for _, time := range []struct {
		given *int64
		field *time.Duration
	}{
		{o.ConnectTimeoutMS, &chosen.ConnectTimeout},
		{o.ReplyTimeoutMS, &chosen.ReplyTimeout},
		{o.CallTimeoutMS, &chosen.CallTimeout},
		{o.IdleMaxMS, &chosen.IdleMax},
		{o.BlockAgeMaxMS, &chosen.BlockAgeMax},
	} {
		if time.given != nil {
			if *time.given == 0 {
				return nil, unsupported("a field of Options that is zero was not set, so it has its default")
			}
			*time.field = milliseconds(*time.given)
		}
	}
	if o.BlockMax != nil {
		chosen.BlockMax = *o.BlockMax
	}
	if o.First != nil {
		chosen.PickFirst = func(int) int { return *o.First }
	}
	if o.TLS != nil {
		config, err := ipseity.LoadTLS(o.TLS.CA, o.TLS.Cert, o.TLS.Key)
		if err != nil {
			return nil, err
		}
		chosen.TLS = config
	}
	return chosen, nil
}

func milliseconds(count int64) time.Duration {
	return time.Duration(count) * time.Millisecond
}

// start begins a call, which goes on beside the commands that follow.
func (ts *things) start(c *command) (any, error) {
	if c.Command == nil {
		return nil, errors.New("start needs a command")
	}
	thing, ok := ts.open[c.Command.Of]
	if !ok {
		return nil, fmt.Errorf("%q is not open", c.Command.Of)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started := &call{cancel: cancel, done: make(chan struct{})}
	ts.calls[c.Call] = started
	begun := make(chan struct{})
	go func() {
		defer close(started.done)
		// Calls that are started one after the other begin in this order.
		close(begun)
		started.ok, started.err = thing.do(ctx, c.Command)
	}()
	<-begun
	return fields{}, nil
}

func (t *thing) do(ctx context.Context, c *command) (any, error) {
	switch c.Do {
	case "next":
		id, err := t.Next(ctx)
		return fields{"identity": id.String()}, err
	case "block":
		client, ok := t.taker.(*ipseity.Client)
		if !ok {
			return nil, unsupported("a source has no block")
		}
		block, err := client.Block(ctx, c.Count)
		return fields{"first": block.First().String(), "count": block.Len()}, err
	case "observe":
		id, err := ipseity.Parse(c.Identity)
		if err != nil {
			return nil, err
		}
		t.Observe(id)
		return fields{}, nil
	case "newest":
		if id, ok := t.Newest(); ok {
			return fields{"identity": id.String()}, nil
		}
		return nil, nil
	case "counters":
		counted := t.Counters()
		return fields{
			"requests": counted.Requests, "identities": counted.Identities, "connects": counted.Connects,
			"failures": counted.Failures, "refills": counted.Refills, "waits": counted.Waits, "dropped": counted.Dropped,
		}, nil
	case "hooks":
		return fields{"connect": t.connect.Load(), "failover": t.failover.Load(), "refill": t.refill.Load()}, nil
	case "load":
		loading, err := startLoad(t.taker, c.Workers, c.Path, c.Portion)
		t.load = loading
		return fields{}, err
	case "unload":
		if t.load == nil {
			return nil, errors.New("no load is under way")
		}
		defer func() { t.load = nil }()
		return t.load.stop()
	case "close":
		return fields{}, t.Close()
	case "in_fork":
		return nil, unsupported("a Go program does not fork")
	default:
		return nil, unsupported("there is no command " + c.Do)
	}
}

package ipseity

import (
	"crypto/tls"
	"math/rand"
	"time"

	"ipseity/internal/address"
	"ipseity/internal/wire"
)

const (
	connectTimeoutDefault = time.Second
	replyTimeoutDefault   = time.Second
	callTimeoutDefault    = 2 * time.Second
	idleMaxDefault        = time.Minute
	blockAgeMaxDefault    = time.Minute
	blockMaxDefault       = 65536

	// blockCountFirst is how many identities a source takes at first, and the least that it takes at once: few enough that
	// a program which needs one wastes little.
	blockCountFirst = 16
	// blockMaxMax is the most that BlockMax may be: the count of a request has 32 bits.
	blockMaxMax = 1<<32 - 1
)

// Options are how a [Client] or a [Source] goes about it. A field that is left as it is has its default. A negative one
// is a [ConfigurationError].
type Options struct {
	// Cluster is the name of the cluster that the servers must be of. A server of another one ends the call with a
	// WrongClusterError before any of its identities is used. Empty: any cluster.
	Cluster string

	// ConnectTimeout bounds one server: looking up its name, connecting over all its addresses, and the TLS handshake. 1
	// second unless set.
	ConnectTimeout time.Duration
	// ReplyTimeout bounds one reply, from the moment when its request was written, or the reply before it came. 1 second
	// unless set.
	ReplyTimeout time.Duration
	// CallTimeout bounds a whole call, over all servers and all tries. 2 seconds unless set. The context of a call can only
	// make it shorter.
	CallTimeout time.Duration
	// IdleMax is how long a connection may go unused; then it is closed, and the next call makes a new one. 1 minute
	// unless set.
	IdleMax time.Duration

	// BlockAgeMax is how long a source keeps identities; what is left then is dropped. 1 minute unless set. A client does not
	// use it.
	BlockAgeMax time.Duration
	// BlockMax is the most identities that a source takes at once: 65,536 unless set, and at most 2^32 - 1. A client does
	// not use it.
	BlockMax int

	// TLS is for servers at tls:// addresses: RootCAs are the CAs that are believed, those of the system if it is nil, and
	// Certificates are shown to servers that ask for one. LoadTLS reads both from files. The name in the list of servers is
	// checked. InsecureSkipVerify, ServerName and versions below 1.2 are a ConfigurationError.
	TLS *tls.Config

	// The hooks are called by the goroutine that does the work, so they should be short, and they must not call
	// the client or source. If one panics, that is ignored.

	// OnConnect is called when a connection is there, with the address of the server.
	OnConnect func(server string)
	// OnFailover is called when a server has failed, with the reason.
	OnFailover func(server string, cause error)
	// OnRefill is called when a source has taken a block, with the number of its identities.
	OnRefill func(identities int)

	// PickFirst chooses the place of the server that is tried first, 0 to servers-1. It is called once. Unless it is set,
	// the choice is random, so that many clients spread over all servers. It is for tests, and for programs that have a
	// server next to them.
	PickFirst func(servers int) int
}

// settings are options that were checked, with their defaults.
type settings struct {
	Options
	servers []address.Address
	first   int
}

func newSettings(servers []string, options *Options) (*settings, error) {
	s := &settings{}
	if options != nil {
		s.Options = *options
	}
	for _, text := range servers {
		server, err := address.Parse(text)
		if err != nil {
			return nil, &ConfigurationError{err: err}
		}
		s.servers = append(s.servers, server)
	}
	if len(s.servers) == 0 {
		return nil, configurationf("the list of servers is empty (name at least one, such as 127.0.0.1:3264)")
	}
	if s.Cluster != "" && !wire.IsClusterName(s.Cluster) {
		return nil, configurationf("Cluster is %q: it must be 1 to 255 bytes of UTF-8 without control characters",
			s.Cluster)
	}
	for _, option := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"ConnectTimeout", &s.ConnectTimeout, connectTimeoutDefault},
		{"ReplyTimeout", &s.ReplyTimeout, replyTimeoutDefault},
		{"CallTimeout", &s.CallTimeout, callTimeoutDefault},
		{"IdleMax", &s.IdleMax, idleMaxDefault},
		{"BlockAgeMax", &s.BlockAgeMax, blockAgeMaxDefault},
	} {
		switch {
		case *option.value < 0:
			return nil, configurationf("%s is %v: it must be more than zero", option.name, *option.value)
		case *option.value == 0:
			*option.value = option.unset
		}
	}
	switch {
	case s.BlockMax < 0 || int64(s.BlockMax) > blockMaxMax:
		return nil, configurationf("BlockMax is %d: it must be 1 to %d", s.BlockMax, int64(blockMaxMax))
	case s.BlockMax == 0:
		s.BlockMax = blockMaxDefault
	}
	var err error
	if s.TLS, err = checkedTLS(s.TLS); err != nil {
		return nil, err
	}
	s.first, err = s.pickFirst()
	return s, err
}

func (s *settings) pickFirst() (int, error) {
	count := len(s.servers)
	if s.PickFirst == nil {
		return rand.Intn(count), nil
	}
	first := s.PickFirst(count)
	if first < 0 || first >= count {
		return 0, configurationf("PickFirst chose place %d of a list of %d servers", first, count)
	}
	return first, nil
}

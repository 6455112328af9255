package main

import (
	"encoding/hex"
	"errors"
	"strconv"

	"ipseity"
	"ipseity/internal/address"
	"ipseity/internal/wire"
)

// message is a message of the protocol as the kit writes it.
type message struct {
	Kind    string `json:"kind"`
	Count   uint32 `json:"count"`
	After   string `json:"after"`
	Cluster string `json:"cluster"`
}

func identity(c *command) (any, error) {
	parse := ipseity.Parse
	if c.Do == "base32" {
		parse = ipseity.ParseBase32
	}
	id, err := parse(c.Text)
	if err != nil {
		return nil, err
	}
	return fields{
		"decimal":  id.String(),
		"hex":      id.Hex(),
		"pair":     id.Pair(),
		"base32":   id.Base32(),
		"sequence": strconv.FormatInt(id.Sequence(), 10),
		"pid":      id.PID(),
	}, nil
}

func serverAddress(text string) (any, error) {
	server, err := address.Parse(text)
	if err != nil {
		return nil, classed{"configuration", err}
	}
	return fields{"host": server.Host, "port": server.Port, "tls": server.TLS}, nil
}

func encode(m *message) (any, error) {
	switch m.Kind {
	case "identityRequest":
		after := uint64(0)
		if m.After != "" {
			var err error
			if after, err = strconv.ParseUint(m.After, 10, 64); err != nil {
				return nil, classed{"configuration", err}
			}
		}
		return fields{"bytes": hex.EncodeToString(wire.AppendIdentityRequest(nil, m.Count, after))}, nil
	case "helloRequest":
		if m.Cluster != "" && !wire.IsClusterName(m.Cluster) {
			return nil, classed{"configuration", errors.New("this is not the name of a cluster")}
		}
		return fields{"bytes": hex.EncodeToString(wire.AppendHelloRequest(nil, m.Cluster))}, nil
	default:
		return nil, unsupported("a client sends no " + m.Kind)
	}
}

func decode(text string) (any, error) {
	bytes, err := hex.DecodeString(text)
	if err != nil {
		return nil, classed{"configuration", err}
	}
	m, length, err := wire.Decode(bytes)
	switch {
	case err != nil:
		return nil, classed{"protocol", err}
	case length == 0:
		return nil, classed{"protocol", errors.New("the frame is not complete")}
	case length < len(bytes):
		return nil, classed{"protocol", errors.New("bytes are left over")}
	}
	switch m.Kind {
	case wire.KindIdentityReply:
		return fields{"kind": m.Kind.String(), "first": strconv.FormatUint(m.First, 10), "count": m.Count}, nil
	case wire.KindHelloReply:
		return fields{
			"kind":        m.Kind.String(),
			"cluster":     m.Hello.Cluster,
			"version":     m.Hello.Version,
			"wireVersion": m.Hello.WireVersion,
			"countMax":    m.Hello.CountMax,
			"pid":         m.Hello.PID,
			"standing":    m.Hello.Standing,
		}, nil
	default:
		return fields{"kind": m.Kind.String(), "code": m.Code, "message": m.Text}, nil
	}
}

func action(number uint16) any {
	code := ipseity.Code(number)
	what := "refused"
	switch {
	case code.Elsewhere():
		what = "elsewhere"
	case code == ipseity.CodeForeignCluster:
		what = "wrongCluster"
	}
	return fields{"action": what, "closes": code.Closes()}
}

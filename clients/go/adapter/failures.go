package main

import (
	"context"
	"errors"

	"ipseity"
)

// failure is an error as the kit reads it.
type failure struct {
	Class    string        `json:"class"`
	Message  string        `json:"message"`
	Code     *uint16       `json:"code,omitempty"`
	Failures []serverCause `json:"failures,omitempty"`
}

type serverCause struct {
	Server string `json:"server"`
	Cause  string `json:"cause"`
}

// classed is an error of a part of the library that has no types of its own.
type classed struct {
	class string
	error
}

func failureOf(err error) *failure {
	f := &failure{Class: classOf(err), Message: err.Error()}
	var refused *ipseity.RefusedError
	if errors.As(err, &refused) {
		code := uint16(refused.Reply.Code)
		f.Code = &code
	}
	var unavailable *ipseity.UnavailableError
	if errors.As(err, &unavailable) {
		for _, at := range unavailable.Failures {
			f.Failures = append(f.Failures, serverCause{Server: at.Server, Cause: at.Cause.Error()})
		}
	}
	return f
}

func classOf(err error) string {
	var known classed
	var configuration *ipseity.ConfigurationError
	var unavailable *ipseity.UnavailableError
	var refused *ipseity.RefusedError
	var wrongCluster *ipseity.WrongClusterError
	var protocol *ipseity.ProtocolError
	switch {
	case errors.As(err, &known):
		return known.class
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "cancelled"
	case errors.Is(err, ipseity.ErrClosed):
		return "closed"
	case errors.As(err, &configuration):
		return "configuration"
	case errors.As(err, &unavailable):
		return "unavailable"
	case errors.As(err, &refused):
		return "refused"
	case errors.As(err, &wrongCluster):
		return "wrongCluster"
	case errors.As(err, &protocol):
		return "protocol"
	default:
		return "unknown"
	}
}

// Package address reads where a server is: a host and a port, as text, and whether it is spoken to by TLS. It looks
// nothing up.
package address

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ipseity/internal/plain"
)

// PortDefault is the port of a server whose address names none.
const PortDefault = 3264

const (
	tlsScheme    = "tls://"
	behindScheme = "://"
)

// Address is a host name or an IP address, and a port.
type Address struct {
	// Host has no brackets.
	Host string
	// Port is 1 to 65535.
	Port uint16
	TLS  bool
}

// Parse reads [tls://]HOST[:PORT]. An IPv6 address with a port stands in brackets.
func Parse(text string) (Address, error) {
	place, isTLS := strings.CutPrefix(text, tlsScheme)
	if strings.Contains(place, behindScheme) {
		return Address{}, fmt.Errorf("%q is not an address ([tls://]HOST[:PORT]): tls://, in small letters, is the one scheme "+
			"that there is, and an address without it is spoken to without TLS", text)
	}
	host, port, err := split(place)
	if err != nil {
		return Address{}, fmt.Errorf("%q is not an address ([tls://]HOST[:PORT]): %w", text, err)
	}
	return Address{Host: host, Port: port, TLS: isTLS}, nil
}

// String is the address as Parse reads it, always with its port.
func (a Address) String() string {
	place := net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
	if a.TLS {
		return tlsScheme + place
	}
	return place
}

func split(place string) (host string, port uint16, err error) {
	if isIPv6(place) {
		return place, PortDefault, nil
	}
	if rest, bracketed := strings.CutPrefix(place, "["); bracketed {
		host, behind, closed := strings.Cut(rest, "]")
		if !closed || !isIPv6(host) || behind != "" && behind[0] != ':' {
			return "", 0, fmt.Errorf("an IPv6 address with a port is written [::1]:%d", PortDefault)
		}
		if behind == "" {
			return host, PortDefault, nil
		}
		port, err := parsePort(behind[1:])
		return host, port, err
	}
	host, digits, hasPort := strings.Cut(place, ":")
	if host == "" || !utf8.ValidString(host) || strings.ContainsFunc(host, isOdd) {
		return "", 0, fmt.Errorf("it names no host")
	}
	if !hasPort {
		return host, PortDefault, nil
	}
	port, err = parsePort(digits)
	return host, port, err
}

func parsePort(digits string) (uint16, error) {
	// ParseUint takes no sign. To port 0 nobody can connect.
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("its port is not 1 to 65535")
	}
	return uint16(port), nil
}

// isIPv6 reports whether this is an IPv6 address, perhaps with the zone in which it counts (RFC 4007, section 11).
func isIPv6(text string) bool {
	ip, zone, hasZone := strings.Cut(text, "%")
	if hasZone && (zone == "" || strings.Contains(zone, ":") || strings.ContainsFunc(zone, isOdd)) {
		return false
	}
	address, err := netip.ParseAddr(ip)
	return err == nil && address.Is6()
}

// isOdd reports whether no host can have this character.
func isOdd(character rune) bool {
	return strings.ContainsRune("[]/%", character) || unicode.IsSpace(character) || !plain.Is(character)
}

package address

import (
	"strings"
	"testing"
)

func TestWhatIsShownIsWhatIsRead(t *testing.T) {
	t.Parallel()
	for text, shown := range map[string]string{
		"127.0.0.1:1":    "127.0.0.1:1",
		"127.0.0.1":      "127.0.0.1:3264",
		"[::1]":          "[::1]:3264",
		"::1":            "[::1]:3264",
		"[fe80::1%eth0]": "[fe80::1%eth0]:3264",
		"fe80::1%2":      "[fe80::1%2]:3264",
		"ids:65535":      "ids:65535",
		"ids:00001":      "ids:1",
		"tls://ids:1":    "tls://ids:1",
		"tls://ids":      "tls://ids:3264",
		"tls://::1":      "tls://[::1]:3264",
		"Zürich":         "Zürich:3264",
	} {
		address, err := Parse(text)
		if err != nil || address.String() != shown {
			t.Errorf("%q: %v, %v", text, address, err)
		}
		again, err := Parse(shown)
		if err != nil || again != address {
			t.Errorf("%q: %v, %v", shown, again, err)
		}
	}
	address, err := Parse("tls://[::1]:4000")
	if want := (Address{Host: "::1", Port: 4000, TLS: true}); err != nil || address != want {
		t.Error(address, err)
	}
}

func TestTheErrorSaysWhyATextIsNoAddress(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"":                 "names no host",
		":3264":            "names no host",
		"a b:1":            "names no host",
		"a\nb:1":           "names no host",
		"a\u202eb:1":       "names no host",
		"a/b":              "names no host",
		"a%b":              "names no host",
		"\xff":             "names no host",
		"host:":            "port",
		"host:0":           "port",
		"host:65536":       "port",
		"host:+1":          "port",
		"host: 1":          "port",
		"host:1:2":         "port",
		"[::1":             "[::1]:3264",
		"[::1]3264":        "[::1]:3264",
		"[host]:1":         "[::1]:3264",
		"[::1%]:1":         "[::1]:3264",
		"[::1]:":           "port",
		"tls://":           "names no host",
		"tls://host:0":     "port",
		"tls://tls://host": "the one scheme that there is",
		"TLS://host:1":     "tls://, in small letters, is the one scheme",
		"https://host":     "the one scheme that there is",
		"://host":          "the one scheme that there is",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

package wire

import (
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	bytes, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// The bytes are those of docs/protocol.md.
func TestRequestsAreTheBytesOfTheProtocol(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		frame []byte
		want  string
	}{
		{AppendIdentityRequest(nil, 1, 0), "0001 01"},
		{AppendIdentityRequest(nil, 3, 5122), "000d 01 00000003 0000000000001402"},
		{AppendIdentityRequest(nil, 1, 1), "000d 01 00000001 0000000000000001"},
		{AppendIdentityRequest(nil, 0, 0), "000d 01 00000000 0000000000000000"},
		{AppendHelloRequest(nil, "ipseity"), "0010 11 0000000000000007 69707365697479"},
		{AppendHelloRequest(nil, ""), "0009 11 0000000000000000"},
	} {
		if string(test.frame) != string(unhex(t, test.want)) {
			t.Errorf("%x is not %s", test.frame, test.want)
		}
	}
}

func TestRepliesAreReadFromTheBytesOfTheProtocol(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Message{
		"000d 02 0000000000001801 00000003":                {Kind: KindIdentityReply, First: 6145, Count: 3},
		"0014 ff 0022 0000000000000009 657868617573746564": {Kind: KindErrorReply, Code: Exhausted, Text: "exhausted"},
		"000b ff 03e7 0000000000000000":                    {Kind: KindErrorReply, Code: 999},
	} {
		bytes := unhex(t, text)
		for end := range bytes {
			if _, length, err := Decode(bytes[:end]); length != 0 || err != nil {
				t.Errorf("%s after %d bytes: %v", text, end, err)
			}
		}
		message, length, err := Decode(append(bytes, 1, 2, 3))
		if err != nil || length != len(bytes) || message != want {
			t.Errorf("%s: %v, %v", text, message, err)
		}
	}
	hello := unhex(t, "0026 12 0000000000000007 69707365697479 0000000000000005 302e312e30 0002 000003e8 0001 00")
	message, length, err := Decode(hello)
	want := Hello{Cluster: "ipseity", Version: "0.1.0", WireVersion: 2, CountMax: 1000, PID: 1}
	if err != nil || length != len(hello) || *message.Hello != want {
		t.Error(message, err)
	}
}

func TestWhatIsMalformedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"0000":                             "length 0",
		"0001 01":                          "identityRequest came, and no client",
		"0001 06":                          "kind 6 came, and no client",
		"000c 02":                          "identityReply came with length 12, and it has 13 to 13",
		"ffff ff":                          "errorReply came with length 65535",
		"001a 12":                          "helloReply came with length 26, and it has 27 to 345",
		"000b ff 0020 0000000000000001":    "a field needs 1 bytes more",
		"000b ff 0020 ffffffffffffffff":    "claims 18446744073709551615 bytes",
		"000c ff 0020 0000000000000000 61": "1 bytes are left over",
		"000c ff 0020 0000000000000001 ff": "not UTF-8",
		"001b 12 0000000000000000 0000000000000000 0002 000003e8 0001 00 00":    "is not the name of a cluster",
		"001b 12 0000000000000001 0a 0000000000000000 0002 000003e8 0001 00":    "is not the name of a cluster",
		"001b 12 0000000000000001 61 0000000000000000 0002 000003e8 0400 00":    "pid 1024 is beyond the last",
		"001b 12 0000000000000001 61 0000000000000000 0002 000003e8 0001 08":    "standing 8 does not exist",
		"001b 12 0000000000000001 61 0000000000000041 0002 000003e8 0001 00":    "claims 65 bytes",
		"001c 12 0000000000000001 61 0000000000000000 0002 000003e8 0001 00 00": "1 bytes are left over",
	} {
		_, _, err := Decode(unhex(t, text))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEveryCodeSaysWhatAClientDoes(t *testing.T) {
	t.Parallel()
	elsewhere := map[Code]bool{5: true, 6: true, 7: true, 8: true, 34: true, 35: true, 36: true, 37: true, 38: true, 39: true, 40: true, 43: true}
	for code := Code(0); code < 1000; code++ {
		if code.Elsewhere() != elsewhere[code] {
			t.Error(code)
		}
		if code.Closes() != (code < 32 || code >= 64) {
			t.Error(code)
		}
		if code.Lasting() && !code.Elsewhere() || code.Doubtful() && !code.Elsewhere() {
			t.Error(code)
		}
	}
	if BadCount.String() != "badCount" || Code(999).String() != "code 999" {
		t.Error(BadCount, Code(999))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 13, 2, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 1})
	f.Add([]byte{0, 11, 255, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		_, length, err := Decode(bytes)
		if length > len(bytes) || length > FrameBytesMax || err != nil && length != 0 {
			t.Fatal(length, err)
		}
		// What is too long for every message is not waited for.
		if err == nil && length == 0 && len(bytes) > FrameBytesMax {
			t.Fatal("it waits for more")
		}
	})
}

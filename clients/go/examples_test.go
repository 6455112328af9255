//go:build unix

package ipseity

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// Each example runs against a real server, and prints what it should.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	serverBinary(t)
	for name, want := range map[string]string{
		"next":   `^1025 is sequence 1 of pid 1, in base32 0000000000101\n2049\n3073\n4097\n$`,
		"source": `^1000000 identities in \d+ blocks\n$`,
		"errors": `^refused with badCount: correct the request\n` +
			`unavailable: try again later; 1 server has failed\n` +
			`cancelled: the caller does not wait any more\n` +
			`closed: the program has closed the client itself\n` +
			`configuration: correct the program\n$`,
	} {
		name, want := name, want
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startReal(t, 1)
			program := filepath.Join(t.TempDir(), name)
			if output, err := exec.Command("go", "build", "-o", program, "./examples/"+name).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			output, err := exec.Command(program, server.address).CombinedOutput()
			if err != nil || !regexp.MustCompile(want).Match(output) {
				t.Fatalf("%v: %s", err, output)
			}
		})
	}
}

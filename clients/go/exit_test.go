package ipseity

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
)

// A program may end with clients and sources that it has not closed, and with calls that are under way: it ends at once,
// without an error, and nothing is written.
func TestAProgramEndsWithWhatItHasNotClosed(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "unclosed")
	if output, err := exec.Command("go", "build", "-o", program, "./testdata/unclosed").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	server := newFake(t, 1, nil)
	var output, complaints bytes.Buffer
	command := exec.Command(program, server.address, listen(t, silent))
	command.Stdout, command.Stderr = &output, &complaints
	if err := command.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	if got := output.String(); got != "1025\n2049\n" {
		t.Fatal(got)
	}
}

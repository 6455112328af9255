package ipseity

import (
	"os"
	"strings"
	"testing"
)

// What README.md shows of Go stands in example_test.go too, so it compiles.
func TestWhatTheReadmeShowsCompiles(t *testing.T) {
	t.Parallel()
	readme := string(must(os.ReadFile("README.md"))(t))
	examples := string(must(os.ReadFile("example_test.go"))(t))
	blocks := strings.Split(readme, "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("README.md shows no code")
	}
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		var lines []string
		for _, line := range strings.Split(strings.TrimSuffix(code, "\n"), "\n") {
			if line != "" {
				line = "\t" + line
			}
			lines = append(lines, line)
		}
		if !strings.Contains(examples, strings.Join(lines, "\n")+"\n") {
			t.Errorf("this is not in example_test.go:\n%s", code)
		}
	}
}

package plain

import "testing"

func TestWhatIsPlainIsLeftAndEverythingElseIsEscaped(t *testing.T) {
	t.Parallel()
	for text, shown := range map[string]string{
		`Grüße, 鍵 "1" \ 🔑`: `Grüße, 鍵 "1" \ 🔑`,
		"a\nb":             `a\nb`,
		"\x1b[31m":         `\x1b[31m`,
		"a\u202eb\u2028":   `a\u202eb\u2028`,
		"\x00\u0085":       `\x00\u0085`,
		"":                 "",
	} {
		if Text(text) != shown {
			t.Errorf("%q: %s", text, Text(text))
		}
	}
}

// Package plain shows text that came from somewhere else, in one line that nobody can forge.
package plain

import (
	"strconv"
	"strings"
)

// Is reports whether a character stays on its line and in its place. Control characters can move the cursor, line
// separators can forge a line, and directional marks can change the order in which a text is shown.
func Is(character rune) bool {
	switch {
	case character <= 0x1f,
		character >= 0x7f && character <= 0x9f,
		character == 0x61c,
		character >= 0x200e && character <= 0x200f,
		character >= 0x2028 && character <= 0x202e,
		character >= 0x2066 && character <= 0x2069:
		return false
	default:
		return true
	}
}

// Text is the text with an escape in place of each character that is not plain.
func Text(text string) string {
	isOdd := func(character rune) bool { return !Is(character) }
	if !strings.ContainsFunc(text, isOdd) {
		return text
	}
	var shown strings.Builder
	for _, character := range text {
		if Is(character) {
			shown.WriteRune(character)
		} else {
			escaped := strconv.QuoteRuneToASCII(character)
			shown.WriteString(strings.Trim(escaped, "'"))
		}
	}
	return shown.String()
}

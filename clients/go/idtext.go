package ipseity

import (
	"errors"
	"strconv"
	"strings"
)

// base32Digits is D. Crockford's alphabet: without I, L, O and U, which are easily taken for others. In ASCII it stands
// in the order of its values, so that texts sort as their numbers do.
const base32Digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	// base32Length is how many characters hold 63 bits with 5 bits each.
	base32Length = 13
	base32Bits   = 5
	noDigit      = 0xff
)

// base32Values has the value of each character, or noDigit.
var base32Values = func() (values [256]byte) {
	for i := range values {
		values[i] = noDigit
	}
	for value, digit := range []byte(base32Digits) {
		values[digit] = byte(value)
		values[strings.ToLower(string(rune(digit)))[0]] = byte(value)
	}
	for like, digit := range map[byte]byte{'I': 1, 'i': 1, 'L': 1, 'l': 1, 'O': 0, 'o': 0} {
		values[like] = digit
	}
	return values
}()

// String is the identity in decimal, such as 1025.
func (id ID) String() string {
	return strconv.FormatInt(int64(id), 10)
}

// Hex is the identity in hexadecimal, such as 0x401: small letters, and no zeros in front.
func (id ID) Hex() string {
	return "0x" + strconv.FormatUint(uint64(id), 16)
}

// Pair is the sequence and the pid in decimal, such as 1:1.
func (id ID) Pair() string {
	return strconv.FormatInt(id.Sequence(), 10) + ":" + strconv.Itoa(id.PID())
}

// Base32 is the identity in 13 characters, such as 0000000000101. Texts of this form sort in the order of the numbers.
func (id ID) Base32() string {
	var text [base32Length]byte
	rest := uint64(id)
	for i := base32Length - 1; i >= 0; i-- {
		text[i] = base32Digits[rest%(1<<base32Bits)]
		rest >>= base32Bits
	}
	return string(text[:])
}

// Parse reads an identity in decimal (1025), in hexadecimal (0x401) or as sequence:pid (1:1). Anything else is a
// [ConfigurationError]. The fourth form is read by [ParseBase32], because 1000000000000 may be either.
func Parse(text string) (ID, error) {
	id, err := parse(text)
	if err != nil {
		return 0, configurationf("%q is not an identity: %w", text, err)
	}
	return id, nil
}

func parse(text string) (ID, error) {
	if sequence, pid, isPair := strings.Cut(text, ":"); isPair {
		return parsePair(sequence, pid)
	}
	digits, base := text, 10
	if strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X") {
		digits, base = text[2:], 16
	}
	value, err := parseDigits(digits, base)
	if err != nil {
		return 0, err
	}
	if value > uint64(IDMax) {
		return 0, tooLarge("sequence", value>>pidBits, SequenceMax)
	}
	return ID(value), nil
}

func parsePair(sequenceText, pidText string) (ID, error) {
	sequence, err := parseDigits(sequenceText, 10)
	if err != nil {
		return 0, err
	}
	if sequence > SequenceMax {
		return 0, tooLarge("sequence", sequence, SequenceMax)
	}
	pid, err := parseDigits(pidText, 10)
	if err != nil {
		return 0, err
	}
	if pid > PIDMax {
		return 0, tooLarge("pid", pid, PIDMax)
	}
	return ID(sequence<<pidBits | pid), nil
}

// parseDigits takes digits only: no sign, no blank, no underscore.
func parseDigits(digits string, base int) (uint64, error) {
	value, err := strconv.ParseUint(digits, base, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errors.New("the number does not fit 64 bits")
	case err != nil:
		return 0, errors.New("expected decimal (1025), hexadecimal (0x401) or sequence:pid (1:1)")
	default:
		return value, nil
	}
}

func tooLarge(what string, value uint64, last int64) error {
	return errors.New(what + " " + strconv.FormatUint(value, 10) + " is beyond the last, " + strconv.FormatInt(last, 10))
}

// ParseBase32 reads what [ID.Base32] writes: 13 characters. Small letters are read too, and so are I and L for 1 and O
// for 0. Anything else is a [ConfigurationError].
func ParseBase32(text string) (ID, error) {
	if len(text) != base32Length {
		return 0, configurationf("%q is not an identity in base32: it has %d bytes, and 13 characters are needed", text, len(text))
	}
	var value uint64
	for i := 0; i < base32Length; i++ {
		digit := base32Values[text[i]]
		if digit == noDigit {
			return 0, configurationf("%q is not an identity in base32: byte %d is none of %s", text, i+1, base32Digits)
		}
		// The first character has the three bits 62 to 60.
		if i == 0 && digit >= 1<<3 {
			return 0, configurationf("%q is not an identity in base32: an identity has 63 bits, so the first character is 0 to 7", text)
		}
		value = value<<base32Bits | uint64(digit)
	}
	return ID(value), nil
}

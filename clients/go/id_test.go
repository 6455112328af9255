package ipseity

import (
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"math/rand"
	"sort"
	"strings"
	"testing"
)

var (
	_ json.Marshaler           = ID(0)
	_ json.Unmarshaler         = (*ID)(nil)
	_ encoding.TextMarshaler   = ID(0)
	_ encoding.TextUnmarshaler = (*ID)(nil)
	_ driver.Valuer            = ID(0)
	_ sql.Scanner              = (*ID)(nil)
)

func TestAnIdentityHasFourForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		id                         ID
		decimal, hex, pair, base32 string
	}{
		{0, "0", "0x0", "0:0", "0000000000000"},
		{1025, "1025", "0x401", "1:1", "0000000000101"},
		{5122, "5122", "0x1402", "5:2", "0000000000502"},
		{1<<53 + 1, "9007199254740993", "0x20000000000001", "8796093022208:1", "0080000000001"},
		{IDMax, "9223372036854775807", "0x7fffffffffffffff", "9007199254740991:1023", "7ZZZZZZZZZZZZ"},
	} {
		shown := []string{test.id.String(), test.id.Hex(), test.id.Pair(), test.id.Base32()}
		for i, want := range []string{test.decimal, test.hex, test.pair, test.base32} {
			if shown[i] != want {
				t.Error(shown, want)
			}
		}
		for _, text := range shown[:3] {
			if id := must(Parse(text))(t); id != test.id {
				t.Error(text, id)
			}
		}
		if id := must(ParseBase32(test.base32))(t); id != test.id {
			t.Error(test.base32, id)
		}
		if id := must(NewID(test.id.Sequence(), test.id.PID()))(t); id != test.id {
			t.Error(test.pair, id)
		}
	}
	for text, want := range map[string]ID{"0X401": 1025, "0x00401": 1025, "0001025": 1025, "01:001": 1025, "0xABC": 2748} {
		if id := must(Parse(text))(t); id != want {
			t.Error(text, id)
		}
	}
	if id := must(ParseBase32("oooooooooo1Oi"))(t); id != 1025 {
		t.Error(id)
	}
	if id := must(ParseBase32("7zzzzzzzzzzzz"))(t); id != IDMax {
		t.Error(id)
	}
}

func TestWhatIsNoIdentityIsRefused(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"":                       "expected decimal",
		"x":                      "expected decimal",
		"+1":                     "expected decimal",
		"-1":                     "expected decimal",
		" 1":                     "expected decimal",
		"1_000":                  "expected decimal",
		"0x":                     "expected decimal",
		"0x+1":                   "expected decimal",
		"1.0":                    "expected decimal",
		":1":                     "expected decimal",
		"1:":                     "expected decimal",
		"1:1:1":                  "expected decimal",
		"1:0x1":                  "expected decimal",
		"9223372036854775808":    "sequence 9007199254740992 is beyond the last, 9007199254740991",
		"0xffffffffffffffff":     "is beyond the last",
		"18446744073709551616":   "does not fit 64 bits",
		"9007199254740992:0":     "sequence 9007199254740992 is beyond the last",
		"1:1024":                 "pid 1024 is beyond the last, 1023",
		"1:18446744073709551616": "does not fit 64 bits",
	} {
		_, err := Parse(text)
		as[*ConfigurationError](t, err)
		says(t, err, reason)
	}
	for text, reason := range map[string]string{
		"":                "it has 0 bytes, and 13 characters are needed",
		"101":             "it has 3 bytes",
		"00000000000101 ": "it has 15 bytes",
		"00000-0000101":   "byte 6 is none of",
		"000000000010U":   "byte 13 is none of",
		"8000000000000":   "the first character is 0 to 7",
		"ZZZZZZZZZZZZZ":   "the first character is 0 to 7",
		"00000000000é":    "byte 12 is none of",
	} {
		_, err := ParseBase32(text)
		as[*ConfigurationError](t, err)
		says(t, err, reason)
	}
	for _, parts := range [][2]int64{{-1, 0}, {SequenceMax + 1, 0}, {1, -1}, {1, 1024}} {
		_, err := NewID(parts[0], int(parts[1]))
		as[*ConfigurationError](t, err)
	}
}

func TestBase32SortsAsTheNumbersDo(t *testing.T) {
	t.Parallel()
	var ids []ID
	for i := 0; i < 1000; i++ {
		ids = append(ids, ID(rand.Int63()>>rand.Intn(63)))
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	for i := 1; i < len(ids); i++ {
		if ids[i-1] < ids[i] && ids[i-1].Base32() >= ids[i].Base32() {
			t.Fatal(ids[i-1], ids[i])
		}
		if id := must(ParseBase32(strings.ToLower(ids[i].Base32())))(t); id != ids[i] {
			t.Fatal(id, ids[i])
		}
	}
}

func TestJSONCarriesAString(t *testing.T) {
	t.Parallel()
	type order struct {
		ID     ID         `json:"id"`
		Parent *ID        `json:"parent"`
		ByID   map[ID]int `json:"byID"`
	}
	bytes := must(json.Marshal(order{ID: 1<<53 + 1, ByID: map[ID]int{1025: 1}}))(t)
	if string(bytes) != `{"id":"9007199254740993","parent":null,"byID":{"1025":1}}` {
		t.Fatal(string(bytes))
	}
	var read order
	if err := json.Unmarshal([]byte(`{"id":"0x401","parent":9007199254740993,"byID":{"1:1":2}}`), &read); err != nil {
		t.Fatal(err)
	}
	if read.ID != 1025 || *read.Parent != 1<<53+1 || read.ByID[1025] != 2 {
		t.Fatal(read)
	}
	for _, text := range []string{`"x"`, `1.5`, `-1`, `1e3`, `true`, `{}`, `[]`, `9223372036854775808`, `""`, `"\u0031"`} {
		var id ID
		if err := json.Unmarshal([]byte(text), &id); err == nil {
			t.Error(text, id)
		}
	}
	if _, err := json.Marshal(ID(-1)); err == nil {
		t.Error("a negative number was written")
	}
}

func TestADatabaseGetsAnInteger(t *testing.T) {
	t.Parallel()
	if value := must(ID(1025).Value())(t); value != int64(1025) {
		t.Fatal(value)
	}
	for _, source := range []any{int64(1025), "1025", []byte("1025"), "1:1"} {
		var id ID
		if err := id.Scan(source); err != nil || id != 1025 {
			t.Error(source, id, err)
		}
	}
	id := ID(7)
	for _, source := range []any{nil, int64(-1), "x", 1.5, true} {
		as[*ConfigurationError](t, id.Scan(source))
	}
	if id != 7 {
		t.Fatal("a failed Scan has changed it")
	}
	if _, err := ID(-1).Value(); err == nil {
		t.Error("a negative number was stored")
	}
}

func TestABlockIsItsIdentities(t *testing.T) {
	t.Parallel()
	block, ok := newBlock(1025, 3)
	if !ok || block.First() != 1025 || block.Last() != 3073 || block.Len() != 3 || block.At(1) != 2049 {
		t.Fatal(block)
	}
	var all []ID
	block.All()(func(id ID) bool { all = append(all, id); return len(all) < 2 })
	if len(all) != 2 || all[1] != 2049 {
		t.Fatal(all)
	}
	for _, wrong := range []struct {
		first uint64
		count uint32
	}{{1025, 0}, {1023, 1}, {1 << 63, 1}, {uint64(IDMax), 2}, {uint64(IDMax) - 1024, 3}, {uint64(IDMax), 1<<32 - 1}} {
		if _, ok := newBlock(wrong.first, wrong.count); ok {
			t.Error(wrong)
		}
	}
	if block, ok := newBlock(uint64(IDMax)-1024, 2); !ok || block.Last() != IDMax {
		t.Error(block)
	}
	var empty Block
	if empty.Len() != 0 || empty.First() != 0 || empty.Last() != 0 {
		t.Error(empty)
	}
	defer func() {
		if recover() == nil {
			t.Error("place 3 of a block of 3 exists")
		}
	}()
	block.At(3)
}

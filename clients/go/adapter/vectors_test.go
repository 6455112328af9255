package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// read reads a file of vectors. They stand beside this client in its repository.
func read(t *testing.T, name string) map[string][]map[string]any {
	t.Helper()
	bytes, err := os.ReadFile(filepath.Join("../../../conformance/vectors", name))
	if os.IsNotExist(err) {
		t.Skip("there are no vectors: this is not the repository of Ipseity")
	}
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(bytes, &raw); err != nil {
		t.Fatal(err)
	}
	vectors := make(map[string][]map[string]any)
	for key, value := range raw {
		var list []map[string]any
		if json.Unmarshal(value, &list) == nil {
			vectors[key] = list
		}
	}
	return vectors
}

// ask lets the adapter do a command, as the kit does: from JSON to JSON.
func ask(t *testing.T, c map[string]any) map[string]any {
	t.Helper()
	line, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var parsed command
	if err := json.Unmarshal(line, &parsed); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(answerTo(&parsed, newThings()))
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(written, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func gives(t *testing.T, c map[string]any, want any) {
	t.Helper()
	if answer := ask(t, c); !reflect.DeepEqual(answer["ok"], want) {
		t.Errorf("%v: %v, not %v", c, answer, want)
	}
}

func fails(t *testing.T, c map[string]any, class string) {
	t.Helper()
	answer := ask(t, c)
	if failure, _ := answer["error"].(map[string]any); failure["class"] != class {
		t.Errorf("%v: %v is no error of class %s", c, answer, class)
	}
}

func TestFramesAreThoseOfTheKit(t *testing.T) {
	t.Parallel()
	frames := read(t, "frames.json")["frames"]
	if len(frames) == 0 {
		t.Fatal("there are no frames")
	}
	for _, frame := range frames {
		if frame["sender"] == "server" {
			gives(t, map[string]any{"do": "decode", "bytes": frame["bytes"]}, frame["message"])
		} else {
			gives(t, map[string]any{"do": "encode", "message": frame["message"]}, map[string]any{"bytes": frame["bytes"]})
		}
	}
	malformed := read(t, "malformed.json")["malformed"]
	if len(malformed) == 0 {
		t.Fatal("nothing is malformed")
	}
	for _, frame := range malformed {
		fails(t, map[string]any{"do": "decode", "bytes": frame["bytes"]}, "protocol")
	}
}

func TestIdentitiesAreThoseOfTheKit(t *testing.T) {
	t.Parallel()
	vectors := read(t, "identities.json")
	byDecimal := make(map[any]map[string]any)
	for _, identity := range vectors["identities"] {
		byDecimal[identity["decimal"]] = identity
		for _, form := range []string{"decimal", "hex", "pair"} {
			gives(t, map[string]any{"do": "identity", "text": identity[form]}, identity)
		}
		gives(t, map[string]any{"do": "base32", "text": identity["base32"]}, identity)
	}
	for list, do := range map[string]string{"also": "identity", "also_base32": "base32"} {
		if len(vectors[list]) == 0 {
			t.Errorf("%s is empty", list)
		}
		for _, other := range vectors[list] {
			answer, _ := ask(t, map[string]any{"do": do, "text": other["text"]})["ok"].(map[string]any)
			if answer["decimal"] != other["decimal"] {
				t.Errorf("%v: %v", other, answer)
			}
		}
	}
	for list, do := range map[string]string{"invalid": "identity", "invalid_base32": "base32"} {
		if len(vectors[list]) == 0 {
			t.Errorf("%s is empty", list)
		}
		for _, wrong := range vectors[list] {
			fails(t, map[string]any{"do": do, "text": wrong["text"]}, "configuration")
		}
	}
}

func TestAddressesAreThoseOfTheKit(t *testing.T) {
	t.Parallel()
	vectors := read(t, "addresses.json")
	if len(vectors["addresses"]) == 0 || len(vectors["invalid"]) == 0 {
		t.Fatal("there are no addresses")
	}
	for _, address := range vectors["addresses"] {
		gives(t, map[string]any{"do": "address", "text": address["text"]}, address["address"])
	}
	for _, wrong := range vectors["invalid"] {
		fails(t, map[string]any{"do": "address", "text": wrong["text"]}, "configuration")
	}
}

func TestCodesAreThoseOfTheKit(t *testing.T) {
	t.Parallel()
	codes := read(t, "codes.json")["codes"]
	if len(codes) == 0 {
		t.Fatal("there are no codes")
	}
	for _, code := range codes {
		gives(t, map[string]any{"do": "code", "code": code["code"]},
			map[string]any{"action": code["action"], "closes": code["closes"]})
	}
}

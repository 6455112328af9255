// Command adapter does with the library what conformance/README.md says, for the kit that holds all clients to the same
// rules. It reads commands from standard input, one JSON object a line, and writes an answer for each.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// lineBytesMax bounds a command. The longest has the bytes of a frame in hexadecimal.
const lineBytesMax = 1 << 20

// command is one line of input. Each command uses some of the fields.
type command struct {
	ID json.RawMessage `json:"id"`
	Do string          `json:"do"`

	Text    string  `json:"text"`
	Bytes   string  `json:"bytes"`
	Code    uint16  `json:"code"`
	Message message `json:"message"`

	Kind     string   `json:"kind"`
	Servers  []string `json:"servers"`
	Options  options  `json:"options"`
	Of       string   `json:"of"`
	Count    int      `json:"count"`
	Identity string   `json:"identity"`

	Call    string   `json:"call"`
	Command *command `json:"command"`
	Workers int      `json:"workers"`
	Path    string   `json:"path"`
	Portion int      `json:"portion"`
}

// fields are what came of a command.
type fields map[string]any

// unsupported is the error of a command that the library has nothing for.
type unsupported string

func (u unsupported) Error() string { return string(u) }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "adapter:", err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	things := newThings()
	defer things.closeAll()
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return fmt.Errorf("%q is not a command: %w", lines.Text(), err)
		}
		if c.Do == "exit" {
			return nil
		}
		if err := out.Encode(answerTo(&c, things)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// answerTo does a command. What it returns is one line of output.
func answerTo(c *command, things *things) fields {
	ok, err := do(c, things)
	if err == nil {
		return fields{"id": c.ID, "ok": ok}
	}
	if why, is := err.(unsupported); is {
		return fields{"id": c.ID, "unsupported": string(why)}
	}
	return fields{"id": c.ID, "error": failureOf(err)}
}

func do(c *command, things *things) (any, error) {
	switch c.Do {
	case "identity", "base32":
		return identity(c)
	case "address":
		return serverAddress(c.Text)
	case "encode":
		return encode(&c.Message)
	case "decode":
		return decode(c.Bytes)
	case "code":
		return action(c.Code), nil
	default:
		return things.do(c)
	}
}

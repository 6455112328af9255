// Package wire turns messages into bytes and bytes into messages, as docs/protocol.md has them. It knows only the
// messages of a client. It opens no socket, reads no clock, and decides nothing about identities.
package wire

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Kind is the kind of a message.
type Kind uint8

// The kinds that a client sends or gets.
const (
	KindIdentityRequest Kind = 1
	KindIdentityReply   Kind = 2
	KindHelloRequest    Kind = 17
	KindHelloReply      Kind = 18
	KindErrorReply      Kind = 255
)

// String is the name of the kind, as docs/protocol.md has it.
func (k Kind) String() string {
	switch k {
	case KindIdentityRequest:
		return "identityRequest"
	case KindIdentityReply:
		return "identityReply"
	case KindHelloRequest:
		return "helloRequest"
	case KindHelloReply:
		return "helloReply"
	case KindErrorReply:
		return "errorReply"
	default:
		return "kind " + strconv.Itoa(int(k))
	}
}

const (
	// A frame begins with the length of what follows it, in two bytes, and with its kind, which the length counts.
	lengthBytes = 2
	headBytes   = lengthBytes + 1

	// ClusterBytesMax is the most bytes that the name of a cluster has.
	ClusterBytesMax = 255
	// PIDMax is the last pid: it has 10 bits.
	PIDMax = 1023

	versionBytesMax = 64
	messageBytesMax = 512
	standingMax     = 7
	stringHeadBytes = 8
	helloFixedBytes = 2*stringHeadBytes + 2 + 4 + 2 + 1

	// FrameBytesMax is the most bytes of a frame that a client gets: an errorReply with the longest message.
	FrameBytesMax = headBytes + 2 + stringHeadBytes + messageBytesMax
)

// Hello is what a server says of itself.
type Hello struct {
	Cluster     string
	Version     string
	WireVersion uint16
	// CountMax is the most identities that one request may ask for.
	CountMax uint32
	PID      uint16
	// Standing says whether it hands out identities: 0 if it does.
	Standing uint8
}

// Message is what a client gets. Only the fields of its kind are set.
type Message struct {
	Kind Kind
	// First and Count are those of an identityReply. They are as they came: nothing is judged here.
	First uint64
	Count uint32
	// Hello is that of a helloReply.
	Hello *Hello
	// Code and Text are those of an errorReply.
	Code Code
	Text string
}

// AppendIdentityRequest appends the request for count identities greater than after.
func AppendIdentityRequest(frame []byte, count uint32, after uint64) []byte {
	if count == 1 && after == 0 {
		return append(frame, 0, 1, byte(KindIdentityRequest))
	}
	frame = append(frame, 0, 1+4+8, byte(KindIdentityRequest))
	frame = binary.BigEndian.AppendUint32(frame, count)
	return binary.BigEndian.AppendUint64(frame, after)
}

// AppendHelloRequest appends the question who the server is. The name of a cluster has at most 255 bytes; an empty one
// stands for any.
func AppendHelloRequest(frame []byte, cluster string) []byte {
	frame = binary.BigEndian.AppendUint16(frame, uint16(1+stringHeadBytes+len(cluster)))
	frame = append(frame, byte(KindHelloRequest))
	frame = binary.BigEndian.AppendUint64(frame, uint64(len(cluster)))
	return append(frame, cluster...)
}

// Decode reads the first frame of the bytes and says how many bytes it has: 0 if it is not complete yet. What cannot be
// right is an error as soon as that can be seen, without waiting for the rest.
func Decode(bytes []byte) (Message, int, error) {
	if len(bytes) < lengthBytes {
		return Message{}, 0, nil
	}
	length := int(binary.BigEndian.Uint16(bytes))
	if length == 0 {
		return Message{}, 0, fmt.Errorf("a frame of length 0 came: a frame has at least its kind")
	}
	if len(bytes) < headBytes {
		return Message{}, 0, nil
	}
	kind := Kind(bytes[lengthBytes])
	least, most, known := lengths(kind)
	if !known {
		return Message{}, 0, fmt.Errorf("%v came, and no client that takes identities gets it", kind)
	}
	if length < least || length > most {
		return Message{}, 0, fmt.Errorf("%v came with length %d, and it has %d to %d", kind, length, least, most)
	}
	end := lengthBytes + length
	if len(bytes) < end {
		return Message{}, 0, nil
	}
	message, err := decodeBody(kind, bytes[headBytes:end])
	if err != nil {
		return Message{}, 0, fmt.Errorf("%v came and cannot be read: %w", kind, err)
	}
	return message, end, nil
}

// lengths says which lengths a kind can have.
func lengths(kind Kind) (least, most int, known bool) {
	switch kind {
	case KindIdentityReply:
		return 13, 13, true
	case KindHelloReply:
		return 1 + helloFixedBytes + 1, 1 + helloFixedBytes + ClusterBytesMax + versionBytesMax, true
	case KindErrorReply:
		return 1 + 2 + stringHeadBytes, 1 + 2 + stringHeadBytes + messageBytesMax, true
	default:
		return 0, 0, false
	}
}

func decodeBody(kind Kind, body []byte) (Message, error) {
	fields := reader{rest: body}
	message := Message{Kind: kind}
	switch kind {
	case KindIdentityReply:
		message.First = fields.uint64()
		message.Count = fields.uint32()
	case KindHelloReply:
		message.Hello = fields.hello()
	case KindErrorReply:
		message.Code = Code(fields.uint16())
		message.Text = fields.text(messageBytesMax)
	}
	if fields.err == nil && len(fields.rest) > 0 {
		fields.err = fmt.Errorf("%d bytes are left over", len(fields.rest))
	}
	return message, fields.err
}

// reader takes fields from the front of a body. After its first error it gives only zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) hello() *Hello {
	hello := &Hello{
		Cluster:     r.text(ClusterBytesMax),
		Version:     r.text(versionBytesMax),
		WireVersion: r.uint16(),
		CountMax:    r.uint32(),
		PID:         r.uint16(),
		Standing:    r.uint8(),
	}
	switch {
	case r.err != nil:
	case !IsClusterName(hello.Cluster):
		r.err = fmt.Errorf("%q is not the name of a cluster", hello.Cluster)
	case hello.PID > PIDMax:
		r.err = fmt.Errorf("pid %d is beyond the last, %d", hello.PID, PIDMax)
	case hello.Standing > standingMax:
		r.err = fmt.Errorf("standing %d does not exist", hello.Standing)
	}
	return hello
}

// text reads a string of at most so many bytes.
func (r *reader) text(bytesMax int) string {
	length := r.uint64()
	if r.err == nil && length > uint64(bytesMax) {
		r.err = fmt.Errorf("a text claims %d bytes, and it has at most %d", length, bytesMax)
	}
	if r.err != nil {
		return ""
	}
	bytes := r.bytes(int(length))
	if r.err == nil && !utf8.Valid(bytes) {
		r.err = fmt.Errorf("a text is not UTF-8")
	}
	return string(bytes)
}

func (r *reader) uint8() uint8 {
	if bytes := r.bytes(1); bytes != nil {
		return bytes[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if bytes := r.bytes(2); bytes != nil {
		return binary.BigEndian.Uint16(bytes)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if bytes := r.bytes(4); bytes != nil {
		return binary.BigEndian.Uint32(bytes)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if bytes := r.bytes(8); bytes != nil {
		return binary.BigEndian.Uint64(bytes)
	}
	return 0
}

// bytes takes so many bytes, or none at all if there are fewer.
func (r *reader) bytes(count int) []byte {
	if r.err == nil && len(r.rest) < count {
		r.err = fmt.Errorf("a field needs %d bytes more", count-len(r.rest))
	}
	if r.err != nil {
		return nil
	}
	taken := r.rest[:count]
	r.rest = r.rest[count:]
	return taken
}

// IsClusterName reports whether a text can be the name of a cluster: 1 to 255 bytes of UTF-8 without control
// characters, which could forge a line where the name is shown.
func IsClusterName(name string) bool {
	if name == "" || len(name) > ClusterBytesMax || !utf8.ValidString(name) {
		return false
	}
	for _, character := range name {
		if unicode.IsControl(character) {
			return false
		}
	}
	return true
}

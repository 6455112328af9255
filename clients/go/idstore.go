package ipseity

import (
	"bytes"
	"database/sql/driver"
)

// MarshalText writes the identity in decimal. A negative number is a [ConfigurationError].
func (id ID) MarshalText() ([]byte, error) {
	if err := id.check(); err != nil {
		return nil, err
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads what [Parse] reads.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// MarshalJSON writes the identity as a string in decimal, because JavaScript and others round numbers above 2^53. A
// negative number is a [ConfigurationError].
func (id ID) MarshalJSON() ([]byte, error) {
	if err := id.check(); err != nil {
		return nil, err
	}
	return []byte(`"` + id.String() + `"`), nil
}

// UnmarshalJSON reads a string that [Parse] reads, or a whole number, which Go does not round. A null changes nothing.
func (id *ID) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	text := data
	if len(data) >= 2 && data[0] == '"' && data[len(data)-1] == '"' {
		text = data[1 : len(data)-1]
	} else if len(bytes.Trim(data, "0123456789")) > 0 {
		return configurationf("%s is not an identity: in JSON it is a string, such as \"1025\"", data)
	}
	return id.UnmarshalText(text)
}

// Value is the identity for a BIGINT column of database/sql. A negative number is a [ConfigurationError].
func (id ID) Value() (driver.Value, error) {
	if err := id.check(); err != nil {
		return nil, err
	}
	return int64(id), nil
}

// Scan reads the identity from a column of database/sql: a BIGINT, or a text that [Parse] reads. A NULL is an
// error. Where a column may be NULL, scan into the address of a *ID, or with Go 1.22 or later into a sql.Null[ID].
func (id *ID) Scan(source any) error {
	switch value := source.(type) {
	case int64:
		if err := ID(value).check(); err != nil {
			return err
		}
		*id = ID(value)
		return nil
	case []byte:
		return id.UnmarshalText(value)
	case string:
		return id.UnmarshalText([]byte(value))
	case nil:
		return configurationf("NULL is not an identity: scan into the address of a *ID where a column may be NULL")
	default:
		return configurationf("a %T is not an identity: the column is to be a BIGINT or a text", source)
	}
}

// check refuses the numbers that no identity has.
func (id ID) check() error {
	if id < 0 {
		return configurationf("%d is not an identity: bit 63 is set", int64(id))
	}
	return nil
}

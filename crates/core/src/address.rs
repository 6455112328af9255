//! An address as people give it: a host and perhaps a port. It imports `limits` and `text`.
//!
//! It is only text. Whether the host has an address is found out by those who connect, each time they do.

// IP addresses as values. `std::net` would bring sockets too.
use core::net::{IpAddr, Ipv6Addr};
use std::{fmt, str::FromStr};

use crate::{limits::ADDRESS_BYTES_MAX, text::is_plain};

/// A host, and a port if one was given: `HOST`, `HOST:PORT`, or an IPv6 address, which stands in brackets where
/// a port follows. An IPv6 address may have a zone: `fe80::1%eth0` (RFC 4007, section 11).
///
/// ```
/// use ipseity_core::address::HostPort;
///
/// let address: HostPort = "[::1]:4000".parse().unwrap();
/// assert_eq!((address.host(), address.port()), ("::1", Some(4000)));
/// assert_eq!("id1.example".parse::<HostPort>().unwrap().port(), None);
/// assert!("id1.example:".parse::<HostPort>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    // Never empty, and without brackets.
    host: String,
    port: Option<u16>,
}

impl HostPort {
    /// The host name or IP address, never empty; an IPv6 address without its brackets. All its characters are
    /// [plain](is_plain), and it holds no blanks, nor any of `:`, `/`, `[` and `]` unless it is an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 0 to 65535, or `None` if none was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether it stands for all addresses of a machine: `0.0.0.0` or `::`.
    pub fn is_wildcard(&self) -> bool {
        let is_everything = |ip: IpAddr| ip.is_unspecified();
        self.host.parse().is_ok_and(is_everything)
    }

    /// Whether another machine can dial it, as far as the text says: it has a port, does not stand for all addresses of a
    /// machine, and is not longer than what servers tell each other.
    pub fn is_dialable(&self) -> bool {
        self.port.is_some_and(|port| port > 0)
            && !self.is_wildcard()
            && self.to_string().len() <= ADDRESS_BYTES_MAX
    }
}

impl fmt::Display for HostPort {
    /// Writes what [`FromStr`] reads as the same address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (None, _) => f.write_str(&self.host),
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
        }
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<HostPort, AddressError> {
        let (host, port) = parts(text).map_err(|fault| AddressError::new(text, fault))?;
        Ok(HostPort {
            host: host.to_owned(),
            port,
        })
    }
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    text: String,
    fault: AddressFault,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFault {
    /// The host is missing, or holds a character that no host can have.
    Host,
    /// The port is not a number, or is not one that a server can have.
    Port,
    /// The brackets do not hold an IPv6 address, or something other than a port follows them.
    Brackets,
}

impl AddressError {
    /// The error for `text` with this fault.
    pub fn new(text: &str, fault: AddressFault) -> AddressError {
        let text = text.to_owned();
        AddressError { text, fault }
    }

    /// The text that is not an address.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it, in words.
    pub fn reason(&self) -> &'static str {
        match self.fault {
            AddressFault::Host => "it names no host",
            AddressFault::Port => "its port is not 1 to 65535",
            AddressFault::Brackets => "an IPv6 address with a port is written [::1]:3264",
        }
    }
}

impl fmt::Display for AddressError {
    /// One line without control characters, whatever the text holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, reason) = (&self.text, self.reason());
        write!(f, "{text:?} is not an address (HOST:PORT): {reason}")
    }
}

impl std::error::Error for AddressError {}

fn parts(text: &str) -> Result<(&str, Option<u16>), AddressFault> {
    if is_v6(text) {
        return Ok((text, None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or(AddressFault::Brackets)?;
            let port = match behind.strip_prefix(':') {
                Some(port) => Some(port),
                None if behind.is_empty() => None,
                None => return Err(AddressFault::Brackets),
            };
            if !is_v6(host) {
                return Err(AddressFault::Brackets);
            }
            (host, port)
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            if host.is_empty() || host.contains(is_odd) {
                return Err(AddressFault::Host);
            }
            (host, port)
        }
    };
    Ok((host, port.map(number).transpose()?))
}

/// Whether this is an IPv6 address, perhaps with the zone in which it counts.
fn is_v6(text: &str) -> bool {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let is_zone = |zone: &str| !zone.is_empty() && !zone.contains(is_odd) && !zone.contains(':');
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone)
}

/// Whether no host can have this character.
fn is_odd(c: char) -> bool {
    "[]/%".contains(c) || c.is_whitespace() || !is_plain(c)
}

fn number(digits: &str) -> Result<u16, AddressFault> {
    // `u16::from_str` would take a leading plus.
    let is_signed = digits.starts_with('+');
    let number = digits.parse().ok().filter(|_| !is_signed);
    number.ok_or(AddressFault::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        for (text, host, port) in [
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("127.0.0.1", "127.0.0.1", None),
            ("fe80::1", "fe80::1", None),
            ("[fe80::1]:0", "fe80::1", Some(0)),
            ("[fe80::1%eth0]:3264", "fe80::1%eth0", Some(3264)),
            ("fe80::1%2", "fe80::1%2", None),
            ("ids:65535", "ids", Some(65535)),
        ] {
            let address: HostPort = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port));
            assert_eq!(address.to_string(), text);
        }
        let bracketed: HostPort = "[::1]".parse().unwrap();
        assert_eq!(bracketed.to_string().parse(), Ok(bracketed));
    }

    #[test]
    fn only_a_host_with_a_port_can_be_dialed() {
        let longest = format!("{}:12345", "a".repeat(255));
        for text in ["ids:1", "10.0.0.1:65535", "[::1]:3264", &longest] {
            assert!(text.parse::<HostPort>().unwrap().is_dialable(), "{text}");
        }
        let too_long = format!("{}:12345", "a".repeat(256));
        for text in ["ids", "ids:0", "0.0.0.0:1", "[::]:1", &too_long] {
            assert!(!text.parse::<HostPort>().unwrap().is_dialable(), "{text}");
        }
    }

    #[test]
    fn texts_that_are_not_an_address_say_why() {
        for (text, reason) in [
            ("", "names no host"),
            (":3264", "names no host"),
            ("a b:1", "names no host"),
            ("a\nb:1", "names no host"),
            ("a\u{202e}b:1", "names no host"),
            ("a/b:1", "names no host"),
            ("a]:1", "names no host"),
            ("a%eth0:1", "names no host"),
            ("fe80::1%", "port"),
            ("[fe80::1%]:1", "[::1]:3264"),
            ("[fe80::1%a b]:1", "[::1]:3264"),
            ("[127.0.0.1%eth0]:1", "[::1]:3264"),
            ("host:", "port"),
            ("host:65536", "port"),
            ("host:+1", "port"),
            ("host:1:2", "port"),
            ("[::1", "[::1]:3264"),
            ("[::1]3264", "[::1]:3264"),
            ("[host]:1", "[::1]:3264"),
        ] {
            let error = text.parse::<HostPort>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
            assert!(!error.contains(char::is_control), "{error}");
        }
    }
}

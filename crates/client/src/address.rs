//! Where a server is: a host and a port, as text. No lookups happen here.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use ipseity_core::limits::PORT_DEFAULT;

/// A host name or an IP address, and a port. The name is looked up anew each time that a connection is
/// made, so it may move.
///
/// ```
/// use ipseity_client::ServerAddress;
///
/// let address: ServerAddress = "ids.example.org:4000".parse().unwrap();
/// assert_eq!((address.host(), address.port()), ("ids.example.org", 4000));
/// // Without a port it is 3264. An IPv6 address with a port stands in brackets.
/// assert_eq!("localhost".parse::<ServerAddress>().unwrap().to_string(), "localhost:3264");
/// assert_eq!("::1".parse::<ServerAddress>().unwrap().to_string(), "[::1]:3264");
/// assert_eq!("[::1]:4000".parse::<ServerAddress>().unwrap().port(), 4000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    // Without brackets.
    host: String,
    port: u16,
}

impl ServerAddress {
    /// The host name or IP address; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServerAddress {
    /// Writes `host:port`, or `[host]:port` for an IPv6 address: what [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<ServerAddress, AddressError> {
        let error = |reason| AddressError {
            text: text.to_owned(),
            reason,
        };
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(ServerAddress {
                host: text.to_owned(),
                port: PORT_DEFAULT,
            });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, behind) = rest
                    .split_once(']')
                    .ok_or_else(|| error(AddressReason::Bracket))?;
                if host.parse::<Ipv6Addr>().is_err() {
                    return Err(error(AddressReason::Bracket));
                }
                match behind.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if behind.is_empty() => (host, None),
                    None => return Err(error(AddressReason::Bracket)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() {
            return Err(error(AddressReason::Host));
        }
        if host.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(error(AddressReason::Host));
        }
        let port = match port {
            None => PORT_DEFAULT,
            // `u16::from_str` would take a leading plus.
            Some(digits) if digits.starts_with('+') => return Err(error(AddressReason::Port)),
            Some(digits) => match digits.parse() {
                Ok(0) | Err(_) => return Err(error(AddressReason::Port)),
                Ok(port) => port,
            },
        };
        Ok(ServerAddress {
            host: host.to_owned(),
            port,
        })
    }
}

/// A text that is no server address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    text: String,
    reason: AddressReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressReason {
    Host,
    Port,
    Bracket,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            AddressReason::Host => "it names no host",
            AddressReason::Port => "its port is not 1 to 65535",
            AddressReason::Bracket => "an IPv6 address with a port is written [::1]:3264",
        };
        write!(
            f,
            "{:?} is no server address (HOST:PORT): {reason}",
            self.text
        )
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        for (text, shown) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("127.0.0.1", "127.0.0.1:3264"),
            ("[::1]", "[::1]:3264"),
            ("fe80::1", "[fe80::1]:3264"),
            ("ids:65535", "ids:65535"),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn texts_that_are_no_address_say_why() {
        for (text, reason) in [
            ("", "names no host"),
            (":3264", "names no host"),
            ("a b:1", "names no host"),
            ("a\nb:1", "names no host"),
            ("host:", "port"),
            ("host:0", "port"),
            ("host:65536", "port"),
            ("host:+1", "port"),
            ("host:1:2", "port"),
            ("[::1", "[::1]:3264"),
            ("[::1]3264", "[::1]:3264"),
            ("[host]:1", "[::1]:3264"),
        ] {
            let error = text.parse::<ServerAddress>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

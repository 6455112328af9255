//! Where a server is: a host and a port, as text, and whether it is spoken to by TLS. No lookups happen here.

use std::{fmt, str::FromStr};

use ipseity_core::{
    address::{AddressError, AddressFault, HostPort},
    limits::PORT_DEFAULT,
};

/// Stands before the address of a server that is spoken to by TLS.
const TLS: &str = "tls://";

/// Stands behind every scheme.
const BEHIND_SCHEME: &str = "://";

/// A host name or an IP address, and a port; `tls://` before it means that the server speaks TLS there. The name is looked up each time a connection is made, so its addresses may
/// change. If it has several, all of them are used.
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
/// assert!("tls://ids.example.org".parse::<ServerAddress>().unwrap().is_tls());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    // Without brackets.
    host: String,
    port: u16,
    is_tls: bool,
}

impl ServerAddress {
    /// Reads `[tls://]HOST[:PORT]`. Without a port it is `port_default`.
    ///
    /// # Errors
    /// The text is not an address, or its port is 0, to which nobody can connect.
    pub fn with_default_port(
        text: &str,
        port_default: u16,
    ) -> Result<ServerAddress, ServerAddressError> {
        let (is_tls, place) = match text.strip_prefix(TLS) {
            Some(place) => (true, place),
            None => (false, text),
        };
        if place.contains(BEHIND_SCHEME) {
            return Err(ServerAddressError::Scheme(text.to_owned()));
        }
        if place.is_empty() {
            return Err(AddressError::new(text, AddressFault::Host).into());
        }
        let address: HostPort = place.parse()?;
        match address.port().unwrap_or(port_default) {
            0 => Err(AddressError::new(text, AddressFault::Port).into()),
            port => Ok(ServerAddress {
                host: address.host().to_owned(),
                port,
                is_tls,
            }),
        }
    }

    /// The host name or IP address; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address without `tls://`.
    pub(super) fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether the server is spoken to by TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

/// A text that is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddressError {
    /// What stands behind the scheme, or all of it, is no address.
    Address(AddressError),
    /// The scheme in this text is not known.
    Scheme(String),
}

impl From<AddressError> for ServerAddressError {
    fn from(error: AddressError) -> ServerAddressError {
        ServerAddressError::Address(error)
    }
}

impl fmt::Display for ServerAddressError {
    /// One line without control characters, whatever the text holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddressError::Address(error) => {
                let (text, reason) = (error.text(), error.reason());
                write!(
                    f,
                    "{text:?} is not an address ([tls://]HOST[:PORT]): {reason}"
                )
            }
            ServerAddressError::Scheme(text) => write!(
                f,
                "{text:?} is not an address ([tls://]HOST[:PORT]): tls://, in small letters, is the one scheme that there \
                 is, and an address without it is spoken to without TLS"
            ),
        }
    }
}

impl std::error::Error for ServerAddressError {}

impl fmt::Display for ServerAddress {
    /// Writes `host:port`, or `[host]:port` for an IPv6 address, behind `tls://` if the server speaks TLS: what
    /// [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_tls {
            f.write_str(TLS)?;
        }
        f.write_str(&self.place())
    }
}

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<ServerAddress, ServerAddressError> {
        ServerAddress::with_default_port(text, PORT_DEFAULT)
    }
}

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
            ("tls://ids:1", "tls://ids:1"),
            ("tls://::1", "tls://[::1]:3264"),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn the_error_says_why_a_text_is_not_an_address() {
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
            (
                "tls://",
                "\"tls://\" is not an address ([tls://]HOST[:PORT]): it names no host",
            ),
            ("tls://host:0", "port"),
            ("tls://tls://host", "the one scheme that there is"),
            (
                "TLS://host:1",
                "tls://, in small letters, is the one scheme",
            ),
            ("https://host", "the one scheme that there is"),
            ("plain://host:3264", "without it is spoken to without TLS"),
            ("://host", "the one scheme that there is"),
        ] {
            let error = text.parse::<ServerAddress>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

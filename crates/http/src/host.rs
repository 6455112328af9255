//! The names that a server is called by in a `Host` header.
//!
//! A page of a stranger can make its own name lead to this server, and then its scripts could read the answers as if
//! they were its own (DNS rebinding). The browser names that stranger in `Host`, so such a name is refused.

use std::fmt;

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::limits::HOST_NAME_BYTES_MAX;

/// The names that a request to `/identities` or `/` may be sent to, beside IP addresses and `localhost`: those of
/// `--http-name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames(Vec<Box<str>>);

impl HostNames {
    /// Adds a name.
    ///
    /// # Errors
    /// The text is not the name of a host alone, or too long for one.
    pub fn add(&mut self, name: &str) -> Result<(), HostNameError> {
        let bare = without_dot(name);
        if !bare.split('.').all(is_label) {
            return Err(HostNameError::NotAName(name.into()));
        }
        if bare.len() > HOST_NAME_BYTES_MAX {
            return Err(HostNameError::TooLong { bytes: bare.len() });
        }
        self.0.push(bare.into());
        Ok(())
    }

    /// Whether a request may be sent to this host. An address cannot be made to lead elsewhere, so every address may.
    pub(crate) fn allow(&self, host: &str) -> bool {
        let name = without_dot(name_of(host));
        name.eq_ignore_ascii_case("localhost")
            || is_address(name)
            || self.0.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Why a text cannot be the name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostNameError {
    /// It is something else, or has a part that no name has.
    NotAName(Box<str>),
    /// It has more than [`HOST_NAME_BYTES_MAX`] bytes.
    TooLong {
        /// How many it has.
        bytes: usize,
    },
}

impl fmt::Display for HostNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostNameError::NotAName(text) => write!(
                f,
                "{:?} is not the name of a host: give it without scheme, port and path, such as ids.example.com",
                text
            ),
            HostNameError::TooLong { bytes } => write!(
                f,
                "has {bytes} bytes, and the name of a host has at most {HOST_NAME_BYTES_MAX}: give a shorter one"
            ),
        }
    }
}

impl std::error::Error for HostNameError {}

/// Whether a text can be what `Host` has, or what is between `http://` and the path: a host and perhaps a port. A name
/// and a password before it are not allowed in HTTP.
pub(crate) fn is_host(text: &str) -> bool {
    let is_in_host = |c: u8| {
        c.is_ascii_alphanumeric()
            || matches!(c, b'-' | b'_' | b'.' | b'~' | b'%' | b':' | b'[' | b']')
    };
    let (name, port) = text.split_at(name_of(text).len());
    // Brackets stand around an IPv6 address and nowhere else.
    let is_closed = !name.contains(['[', ']']) || is_address(name);
    text.bytes().all(is_in_host)
        && is_closed
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// HTTP lets the digits behind the colon be left out.
fn is_port(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit()) && (text.is_empty() || text.parse::<u16>().is_ok())
}

/// Whether a text can stand between two dots of a name. Underscores are not in the rules of DNS, but in names of Docker.
fn is_label(text: &str) -> bool {
    let is_inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(is_inside)
}

/// A host without its port: what stands before `:`, or within brackets.
pub(crate) fn name_of(host: &str) -> &str {
    let bytes = || host.bytes();
    let end = match bytes().next() {
        Some(b'[') => bytes().position(|c| c == b']').map(|bracket| bracket + 1),
        _ => bytes().position(|c| c == b':'),
    };
    &host[..end.unwrap_or(host.len())]
}

/// A full name may end with a dot.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_address(name: &str) -> bool {
    match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok(),
    }
}

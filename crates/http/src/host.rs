//! The names that a server is called by in a `Host` header.
//!
//! A page of a stranger can make its own name lead to this server, and then its scripts could read the answers as if
//! they were its own (DNS rebinding). The browser names that stranger in `Host`, so such a name is refused.

use std::fmt;

use core::net::{Ipv4Addr, Ipv6Addr};

use ipseity_core::text::Plain;

use crate::limits::HOST_NAME_BYTES_MAX;

/// The names that a request to `/identities` or `/` may be sent to, beside IP addresses and `localhost`: those of
/// `--http-name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames(Vec<Box<str>>);

impl HostNames {
    /// Adds a name.
    ///
    /// # Errors
    /// The text is not the name of a host alone.
    pub fn add(&mut self, name: &str) -> Result<(), HostNameError> {
        let bare = without_dot(name);
        let is_name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if bare.is_empty() || bare.len() > HOST_NAME_BYTES_MAX || !bare.bytes().all(is_name) {
            return Err(HostNameError(name.into()));
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

/// A text that is not the name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNameError(Box<str>);

impl fmt::Display for HostNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not the name of a host: give it without scheme, port and path, such as ids.example.com",
            Plain(&self.0)
        )
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
    let port = &text[name_of(text).len()..];
    text.bytes().all(is_in_host)
        && (port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|port| port.bytes().all(|c| c.is_ascii_digit())))
}

/// A host without its port: what stands before `:`, or within brackets.
fn name_of(host: &str) -> &str {
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

//! An address as people type it: a host and a port.

use ipseity_core::address::HostPort;

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{UsageError, given::Given};
use crate::limits::{HOST_BYTES_MAX, HOST_PART_BYTES_MAX};

/// Reads `host:port`, `1.2.3.4:port`, `[v6]:port` or `[v6%zone]:port`. The host is not looked up here, but later, at each attempt to
/// reach it.
pub(super) fn host_port(given: &Given, flag: &str, text: &str) -> Result<HostPort, UsageError> {
    let address: Option<HostPort> = text.parse().ok();
    let address = address.filter(|address| address.port().is_some());
    let address = address.ok_or_else(|| {
        // Each listener has its own usual port.
        let example = match flag {
            "http" => "HOST:PORT, such as 127.0.0.1:3265, [::1]:3265 or id1.example:3265",
            _ => "HOST:PORT, such as 127.0.0.1:3264, [::1]:3264 or id1.example:3264",
        };
        given.bad(flag, text, example)
    })?;
    let host = address.host();
    let bytes = host.strip_suffix('.').unwrap_or(host).len();
    if bytes > HOST_BYTES_MAX {
        // Shown whole, it would fill the screen.
        return Err(UsageError::new(format!(
            "{} has a host with {bytes} bytes: the name of a host has at most {HOST_BYTES_MAX}",
            given.name(flag)
        )));
    }
    match can_be_looked_up(host) {
        true => Ok(address),
        false => Err(given.bad(
            flag,
            text,
            format_args!(
                "a host that can have an address: letters, digits, - and _, with dots between its parts of at most \
                 {HOST_PART_BYTES_MAX} bytes"
            ),
        )),
    }
}

/// Whether a host can have an address: it is one itself, or a name that DNS or a file of hosts can hold. Otherwise a server
/// would look it up for ever. Underscores are not in the rules of DNS, but in names of Docker; letters of all languages are
/// in files of hosts.
fn can_be_looked_up(host: &str) -> bool {
    let (before_zone, _) = host.split_once('%').unwrap_or((host, ""));
    if before_zone.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        (1..=HOST_PART_BYTES_MAX).contains(&label.len())
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    name.split('.').all(is_label)
}

/// All addresses of a flag that may be given many times, none twice.
pub(super) fn addresses(given: &Given, flag: &str) -> Result<Vec<String>, UsageError> {
    let mut addresses = Vec::new();
    for text in given.values(flag) {
        let address = host_port(given, flag, &text)?.to_string();
        if addresses.contains(&address) {
            return Err(UsageError::new(format!(
                "{} {address} is given more than once",
                given.name(flag)
            )));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

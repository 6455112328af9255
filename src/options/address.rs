//! An address as people type it: a host and a port.

use ipseity_core::address::HostPort;

use super::{UsageError, given::Given};

/// Reads `host:port`, `1.2.3.4:port`, `[v6]:port` or `[v6%zone]:port`. The host is not looked up here, but later, at each attempt to
/// reach it.
pub(super) fn host_port(given: &Given, flag: &str, text: &str) -> Result<HostPort, UsageError> {
    let address: Option<HostPort> = text.parse().ok();
    address
        .filter(|address| address.port().is_some())
        .ok_or_else(|| {
            // Each listener has its own usual port.
            let example = match flag {
                "http" => "HOST:PORT, such as 127.0.0.1:3265, [::1]:3265 or id1.example:3265",
                _ => "HOST:PORT, such as 127.0.0.1:3264, [::1]:3264 or id1.example:3264",
            };
            given.bad(flag, text, example)
        })
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

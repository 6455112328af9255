//! An address as people give it to the server: with its port.

use ipseity_core::address::HostPort;

use super::{UsageError, bad};

/// `host:port`, `1.2.3.4:port` or `[v6]:port`. Whether the host has an address is found out later, and
/// again and again.
pub(super) fn host_port(flag: &str, text: &str) -> Result<HostPort, UsageError> {
    let address: Option<HostPort> = text.parse().ok();
    address
        .filter(|address| address.port().is_some())
        .ok_or_else(|| {
            bad(
                flag,
                text,
                "HOST:PORT, such as 127.0.0.1:3264, [::1]:3264 or id1.example:3264",
            )
        })
}

//! An address as people give it.

use std::net::Ipv6Addr;

use super::{UsageError, bad};

/// `host:port`, `1.2.3.4:port` or `[v6]:port`. Whether the host has an address is found out later, and
/// again and again.
pub(super) fn host_port(flag: &str, text: String) -> Result<String, UsageError> {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_fits = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => {
                let is_odd = |c: char| ":[]/".contains(c) || c.is_whitespace() || c.is_control();
                !host.is_empty() && !host.contains(is_odd)
            }
        };
        host_fits && port.parse::<u16>().is_ok() && !port.starts_with('+')
    });
    if fits {
        Ok(text)
    } else {
        Err(bad(
            flag,
            &text,
            "HOST:PORT, such as 127.0.0.1:3264, [::1]:3264 or id1.example:3264",
        ))
    }
}

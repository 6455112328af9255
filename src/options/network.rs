//! A network as people type it: an address with the length of its prefix, or an address alone.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::{UsageError, given::Given};

/// The bits of an IPv6 address in front of the IPv4 address in it, as in `::ffff:10.0.0.5`.
const MAPPED_BITS: u8 = 96;

/// Reads all values of a flag that may be given many times.
pub(super) fn networks(given: &Given, flag: &str) -> Result<Vec<IpNet>, UsageError> {
    let network =
        |text: String| network(&text).map_err(|expected| given.bad(flag, &text, expected));
    given.values(flag).into_iter().map(network).collect()
}

/// Reads `10.0.0.0/8`, `fd00::/8` or an address alone. A network with bits behind its prefix is refused: either the
/// address or the prefix is not what was meant. The error says what was expected.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return Err(
            "an IP address or a network, such as 10.0.0.5, fd00::5 or 10.0.0.0/8".to_owned(),
        );
    };
    if network.trunc() != network {
        return Err(format!(
            "zeros behind the prefix, as in {}",
            network.trunc()
        ));
    }
    Ok(canonical(network))
}

/// The same network, in IPv4 if it consists of IPv4 addresses that are written as IPv6.
fn canonical(network: IpNet) -> IpNet {
    let mapped = |ip: Ipv6Addr| ip.to_ipv4_mapped();
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= MAPPED_BITS => match mapped(v6.addr()) {
            Some(v4) => Ipv4Net::new(v4, v6.prefix_len() - MAPPED_BITS).map_or(network, IpNet::V4),
            None => network,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_ipv4_in_ipv6_is_ipv4() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.5", "10.0.0.5/32"),
            ("10.0.0.5/32", "10.0.0.5/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("fd00::5", "fd00::5/128"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:10.0.0.5", "10.0.0.5/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            ("::/96", "::/96"),
        ] {
            let read = network(text).map(|network| network.to_string());
            assert_eq!(read, Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "",
            "10.0.0.0/",
            "10.0.0/8",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0.0/+8",
            "a",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}

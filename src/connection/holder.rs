//! Who a connection is counted for.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU64,
};

/// Who a connection is counted for: an IPv4 address, or the first 64 bits of an IPv6 address, because one host usually
/// has all addresses behind them.
///
/// Every connection keeps one, so it is one word. An IPv4 address has 32 ones before it, with which no network of IPv6
/// begins: such addresses are for groups, and nobody connects from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder(NonZeroU64);

/// What stands before an IPv4 address.
const IPV4: u64 = (u32::MAX as u64) << 32;

impl Holder {
    /// `::1`, which is alone in its network.
    const LOOPBACK: Holder = Holder(NonZeroU64::MIN);

    /// The holder that this address belongs to. An IPv4 address on an IPv6 socket is still the same address.
    pub fn of(address: IpAddr) -> Holder {
        let bits = match address.to_canonical() {
            IpAddr::V4(ip) => IPV4 | u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
        };
        NonZeroU64::new(bits).map_or(Holder::LOOPBACK, Holder)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.get();
        if *self == Holder::LOOPBACK {
            Ipv6Addr::LOCALHOST.fmt(f)
        } else if bits >= IPV4 {
            Ipv4Addr::from_bits(bits as u32).fmt(f)
        } else {
            write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(bits) << 64))
        }
    }
}

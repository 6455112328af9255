//! Whom this server believes, by the address that a connection comes from: who may synchronize as a peer does, and who
//! may operate.
//!
//! A name in `--peer` stands for the addresses that its last lookup has found. So what is believed can change, but a
//! connection keeps what it was granted when it was accepted. A peer that comes before its address is known is refused,
//! and asks again on a new connection.
//!
//! It opens nothing and looks nothing up. It is told what a name leads to.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
};

use ipnet::IpNet;
use ipseity_core::{
    ids::NameId,
    words::{Grant, Grants},
};

use crate::limits::NAMED_ADDRESSES_MAX;

/// What the operator has said about addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustOptions {
    /// This machine itself may operate and synchronize (`--trust-loopback`).
    pub loopback: bool,
    /// Networks from which an operator may connect (`--trust`).
    pub operators: Vec<IpNet>,
    /// Networks from which a peer may connect (`--peer-from`).
    pub peers: Vec<IpNet>,
}

impl Default for TrustOptions {
    fn default() -> TrustOptions {
        TrustOptions {
            loopback: true,
            operators: Vec::new(),
            peers: Vec::new(),
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Trust {
    options: TrustOptions,
    /// The addresses of each name, as its last lookup has found them.
    by_name: BTreeMap<NameId, Vec<IpAddr>>,
    /// How many names have each address.
    named: BTreeMap<IpAddr, usize>,
    /// How many addresses all names have together.
    total: usize,
}

impl Trust {
    /// What the operator has said. No name has an address yet.
    pub fn new(options: TrustOptions) -> Trust {
        Trust {
            options,
            by_name: BTreeMap::new(),
            named: BTreeMap::new(),
            total: 0,
        }
    }

    /// Notes what a lookup has found. What the name led to before does not count any more.
    pub fn note_named(&mut self, name: NameId, addresses: impl IntoIterator<Item = IpAddr>) {
        self.forget_named(name);
        let room = NAMED_ADDRESSES_MAX - self.total;
        let addresses = addresses.into_iter().map(|ip| ip.to_canonical());
        let addresses: Vec<IpAddr> = addresses.take(room).collect();
        self.total += addresses.len();
        for address in &addresses {
            *self.named.entry(*address).or_default() += 1;
        }
        self.by_name.insert(name, addresses);
    }

    fn forget_named(&mut self, name: NameId) {
        let addresses = self.by_name.remove(&name).unwrap_or_default();
        self.total -= addresses.len();
        for address in addresses {
            if let Entry::Occupied(mut names) = self.named.entry(address) {
                *names.get_mut() -= 1;
                if *names.get() == 0 {
                    names.remove();
                }
            }
        }
    }

    /// Whether a name in `--peer` has this address.
    pub fn is_named(&self, address: IpAddr) -> bool {
        self.named.contains_key(&address.to_canonical())
    }

    /// What a connection from this address may do, as far as addresses decide that.
    pub fn grants(&self, address: IpAddr) -> Grants {
        // An IPv4 address on an IPv6 socket is still the same address.
        let address = address.to_canonical();
        let options = &self.options;
        // bug LoopbackTrusted instead: let is_own = address.is_loopback() && (options.loopback || BUG);
        let is_own = address.is_loopback() && options.loopback;
        let mut grants = Grants::EVERYBODY;
        if is_own || self.is_named(address) || is_in(&options.peers, address) {
            grants = grants.and(Grant::Sync);
        }
        if is_own || is_in(&options.operators, address) {
            grants = grants.and(Grant::Operate);
        }
        grants
    }

    /// Whether there is no limit to how many connections this address may have.
    pub fn is_unlimited(&self, address: IpAddr) -> bool {
        // Loopback is, even if it is not trusted: behind a proxy on this machine are all clients.
        address.to_canonical().is_loopback() || self.grants(address) != Grants::EVERYBODY
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Grants = Grants::EVERYBODY.and(Grant::Sync);
    const OPERATOR: Grants = Grants::EVERYBODY.and(Grant::Operate);

    fn trust(loopback: bool) -> Trust {
        Trust::new(TrustOptions {
            loopback,
            operators: vec!["10.1.2.3/32".parse().unwrap(), "fd00::/8".parse().unwrap()],
            peers: vec!["10.2.0.0/16".parse().unwrap()],
        })
    }

    fn grants(trust: &Trust, address: &str) -> Grants {
        trust.grants(address.parse().unwrap())
    }

    #[test]
    fn each_address_may_do_what_the_flags_say_and_no_more() {
        let trust = trust(true);
        for (address, expected) in [
            ("127.0.0.1", Grants::ALL),
            ("127.9.9.9", Grants::ALL),
            ("::1", Grants::ALL),
            ("::ffff:127.0.0.1", Grants::ALL),
            ("10.1.2.3", OPERATOR),
            ("::ffff:10.1.2.3", OPERATOR),
            ("fd12::1", OPERATOR),
            ("10.2.255.255", PEER),
            ("::ffff:10.2.0.0", PEER),
            ("10.1.2.4", Grants::EVERYBODY),
            ("10.3.0.0", Grants::EVERYBODY),
            ("192.168.0.1", Grants::EVERYBODY),
            ("::2", Grants::EVERYBODY),
        ] {
            assert_eq!(grants(&trust, address), expected, "{address}");
        }
    }

    #[test]
    fn loopback_may_do_nothing_by_itself_where_it_is_not_trusted() {
        let mut trust = trust(false);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(grants(&trust, address), Grants::EVERYBODY, "{address}");
        }
        // The flags that name addresses still count.
        trust.note_named(NameId(0), ["127.0.0.1".parse().unwrap()]);
        assert_eq!(grants(&trust, "127.0.0.1"), PEER);
        assert_eq!(grants(&trust, "127.0.0.2"), Grants::EVERYBODY);
        // A proxy on this machine is still exempt from the limit of connections.
        assert!(trust.is_unlimited("127.0.0.2".parse().unwrap()));
    }

    #[test]
    fn a_name_stands_for_what_its_last_lookup_has_found() {
        let mut trust = trust(true);
        let (one, other) = (NameId(0), NameId(1));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        trust.note_named(one, [ip("10.9.0.1"), ip("10.9.0.2")]);
        trust.note_named(other, [ip("::ffff:10.9.0.2")]);
        assert_eq!(grants(&trust, "10.9.0.1"), PEER);
        // It has moved. The other name still has the address that both had.
        trust.note_named(one, [ip("10.9.0.3")]);
        assert_eq!(grants(&trust, "10.9.0.1"), Grants::EVERYBODY);
        assert_eq!(grants(&trust, "10.9.0.2"), PEER);
        assert_eq!(grants(&trust, "10.9.0.3"), PEER);
        assert!(trust.is_named(ip("::ffff:10.9.0.3")) && !trust.is_named(ip("10.2.0.1")));
        assert!(trust.is_unlimited(ip("10.9.0.3")) && !trust.is_unlimited(ip("10.9.0.1")));
    }

    #[test]
    fn no_name_makes_it_remember_more_addresses_than_its_bound() {
        let mut trust = trust(true);
        let all = |from: u32| (from..).map(|bits| IpAddr::from(bits.to_be_bytes()));
        trust.note_named(NameId(0), all(1).take(10));
        trust.note_named(NameId(1), all(1000).take(NAMED_ADDRESSES_MAX));
        assert_eq!(trust.named.len(), NAMED_ADDRESSES_MAX);
        // What one name gives up, another can have.
        trust.note_named(NameId(0), []);
        trust.note_named(NameId(1), all(1000).take(NAMED_ADDRESSES_MAX));
        assert!(trust.is_named(all(1000).nth(NAMED_ADDRESSES_MAX - 1).unwrap()));
    }
}

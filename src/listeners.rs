//! The listeners: where connections come in, which codec they use there, and what they may do. Today there is one,
//! for `--listen`.
//!
//! It may import `codec`, `frames`, and the ids and words of the core. It opens nothing: the edge holds the sockets and
//! uses the same ids.

use std::net::{IpAddr, SocketAddr};

use ipseity_core::{
    ids::ListenerId,
    words::{Grant, Grants},
};
use ipseity_frames::Receiver;

use crate::codec::Codec;

/// What a listener says about the connections that it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How they speak.
    pub codec: Codec,
    /// The most that they may do.
    pub grants: Grants,
}

impl Listener {
    /// The listener of `--listen`: clients, peers and operators, all with frames.
    pub const PLAIN: Listener = Listener {
        codec: Codec::Frames(Receiver::Server),
        grants: Grants::ALL,
    };

    /// What a connection from `address` may do here. Operators come from loopback or from an address that the server
    /// was told to trust. This is decided once, when the connection is accepted.
    pub fn grants_for(&self, address: SocketAddr, trusted: &[IpAddr]) -> Grants {
        // An IPv4 address on an IPv6 socket is still the same address.
        let ip = address.ip().to_canonical();
        let by_address = match ip.is_loopback() || trusted.contains(&ip) {
            true => Grants::EVERYBODY.and(Grant::Operate),
            false => Grants::EVERYBODY,
        };
        self.grants.within(by_address)
    }
}

/// All listeners of a server, by their ids.
#[derive(Debug)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Takes the listeners; the first one gets the id 0.
    pub fn new(listeners: Vec<Listener>) -> Listeners {
        Listeners(listeners)
    }

    /// The ids of all listeners, in order.
    pub fn ids(&self) -> impl Iterator<Item = ListenerId> + use<> {
        (0..self.0.len() as u16).map(ListenerId)
    }

    /// The listener with this id.
    ///
    /// # Panics
    /// There is no such listener. Ids come only from this table.
    pub fn get(&self, id: ListenerId) -> Listener {
        self.0[usize::from(id.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_come_from_loopback_and_trusted_addresses() {
        let trusted = ["10.1.2.3".parse().unwrap()];
        let from = |address: &str, listener: Listener| {
            listener.grants_for(format!("{address}:1").parse().unwrap(), &trusted)
        };
        for address in ["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert_eq!(from(address, Listener::PLAIN), Grants::ALL, "{address}");
        }
        for address in ["10.1.2.3", "[::ffff:10.1.2.3]"] {
            assert_eq!(from(address, Listener::PLAIN), Grants::ALL, "{address}");
        }
        for address in ["10.1.2.4", "192.168.0.1", "[::2]"] {
            assert_eq!(
                from(address, Listener::PLAIN),
                Grants::EVERYBODY,
                "{address}"
            );
        }
        // No address allows more than the listener does.
        let shows = Listener {
            grants: Grants::NONE.and(Grant::Look),
            ..Listener::PLAIN
        };
        assert_eq!(from("127.0.0.1", shows), shows.grants);
    }
}

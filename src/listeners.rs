//! The listeners: by which doors connections come in, and what each door says of them. Today there is one, that of
//! `--listen`.
//!
//! It may import `codec` and the core's words. It opens nothing: the edge has the sockets, and knows them by the same
//! ids.

use std::net::{IpAddr, SocketAddr};

use ipseity_core::{
    ids::ListenerId,
    words::{Grant, Grants},
};
use ipseity_frames::Receiver;

use crate::codec::Codec;

/// What a listener says of the connections that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How they speak.
    pub codec: Codec,
    /// What they may do at most.
    pub grants: Grants,
}

impl Listener {
    /// The one of `--listen`: clients, peers and operators, all in frames.
    pub const PLAIN: Listener = Listener {
        codec: Codec::Frames(Receiver::Server),
        grants: Grants::ALL,
    };

    /// What a connection may do that came in here from `address`: operators come from loopback, or from where the
    /// server was told to trust. Decided once, when the connection is accepted.
    pub fn grants_for(&self, address: SocketAddr, trusted: &[IpAddr]) -> Grants {
        // An IPv4 address that came in over an IPv6 socket is still itself.
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
    /// These, of which the first has the id 0.
    pub fn new(listeners: Vec<Listener>) -> Listeners {
        Listeners(listeners)
    }

    /// The ids of all.
    pub fn ids(&self) -> impl Iterator<Item = ListenerId> + use<> {
        (0..self.0.len() as u16).map(ListenerId)
    }

    /// What the listener says of its connections.
    ///
    /// # Panics
    /// There is none of that id: ids come from this table.
    pub fn get(&self, id: ListenerId) -> Listener {
        self.0[usize::from(id.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_come_from_loopback_and_from_where_the_server_was_told_to_trust() {
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
        // No address gives more than the listener does.
        let shows = Listener {
            grants: Grants::NONE.and(Grant::Look),
            ..Listener::PLAIN
        };
        assert_eq!(from("127.0.0.1", shows), shows.grants);
    }
}

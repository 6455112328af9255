//! The listeners: where connections come in, which codec they use there, and what they may do. There is one for each
//! address of `--listen` and of `--http`.
//!
//! It may import `codec`, `frames`, `trust`, and the ids and words of the core. It opens nothing: the edge holds the sockets and
//! uses the same ids.

use std::net::IpAddr;

use ipseity_core::{
    ids::ListenerId,
    words::{Grant, Grants},
};
use ipseity_frames::Receiver;
use ipseity_http::Exchange;

use crate::{codec::Codec, trust::Trust};

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

    /// The listener of `--http`: who comes here may take identities and look.
    pub const HTTP: Listener = Listener {
        codec: Codec::Http(Exchange::REFUSAL),
        grants: Grants::EVERYBODY.and(Grant::Operate),
    };

    /// What a connection from `address` may do here. This is decided once, when the connection is accepted.
    pub fn grants_for(&self, address: IpAddr, trust: &Trust) -> Grants {
        self.grants.within(trust.grants(address))
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
    use ipseity_core::words::Grant;

    use super::*;
    use crate::trust::TrustOptions;

    #[test]
    fn no_address_allows_more_than_the_listener_does() {
        let trust = Trust::new(TrustOptions::default());
        let from = |address: &str, listener: Listener| {
            listener.grants_for(address.parse().unwrap(), &trust)
        };
        assert_eq!(from("127.0.0.1", Listener::PLAIN), Grants::ALL);
        assert_eq!(from("10.1.2.4", Listener::PLAIN), Grants::EVERYBODY);
        let shows = Listener {
            grants: Grants::NONE.and(Grant::Look),
            ..Listener::PLAIN
        };
        assert_eq!(from("127.0.0.1", shows), shows.grants);
    }
}

//! Whom the actor answers and whom it asks: names, not sockets.

use std::fmt;

use crate::limits::{CONNECTION_SLOT_BITS, COUNT_LIMIT_MAX};

/// The temporary actor that stands for one connection: its slot in the `Slab`, and a serial by which people tell it
/// from those that had the slot before.
///
/// Both share 32 bits, because an id stands in nearly every entry of the mailbox. The serial counts all
/// connections and wraps after 4,096 of them, so nothing may depend on it. Instead, a slot is held as long as anything
/// keeps its id: it is freed only when its connection is owed no answer, and the actor has handled the loss of its link
/// and no longer names it. After that only a readiness can come late, and a readiness is only a hint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u32);

impl ConnectionId {
    /// The id of the connection in `slot`, the `serial`-th of that slot.
    pub const fn new(slot: u32, serial: u32) -> ConnectionId {
        assert!(
            slot < 1 << CONNECTION_SLOT_BITS,
            "the slab holds no more slots than fit an id"
        );
        ConnectionId(serial << CONNECTION_SLOT_BITS | slot)
    }

    /// The place in the `Slab`.
    pub const fn slot(self) -> usize {
        (self.0 & ((1 << CONNECTION_SLOT_BITS) - 1)) as usize
    }

    /// The id in one integer: what is registered with the poll.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The id back from its integer.
    pub const fn from_u32(bits: u32) -> ConnectionId {
        ConnectionId(bits)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot(), self.0 >> CONNECTION_SLOT_BITS)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name that was given with `--peer`: its place in that list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub u16);

impl fmt::Display for NameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A peer that this server dials: one address that a name given with `--peer` leads to. The ids of a process are
/// counted up and never given twice, so what comes late about an address can never be taken for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A listener, which accepts connections: its place in the server's table of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// A connection on which a peer is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// This server connected to it and asks.
    Dialed(PeerId),
    /// It connected to this server and asks.
    Accepted(ConnectionId),
}

impl Link {
    /// Every dialed link is less than this one, and no accepted link is.
    pub const FIRST_ACCEPTED: Link = Link::Accepted(ConnectionId(0));
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Dialed(peer) => write!(f, "peer={peer}"),
            Link::Accepted(connection) => write!(f, "connection={connection}"),
        }
    }
}

/// How many identities a request asks for, in three bytes: with them an identity request fills 16 bytes
/// of the mailbox exactly. What is larger becomes the largest, which is over every server's limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Count([u8; 3]);

impl Count {
    /// The count of a request that gives none.
    pub const ONE: Count = Count::saturating(1);

    /// The count, or the largest there is.
    pub const fn saturating(count: u32) -> Count {
        let count = if count > COUNT_LIMIT_MAX {
            COUNT_LIMIT_MAX + 1
        } else {
            count
        };
        let [a, b, c, _] = count.to_le_bytes();
        Count([a, b, c])
    }

    /// The count, at most one more than the greatest that any server allows.
    pub const fn get(self) -> u32 {
        u32::from_le_bytes([self.0[0], self.0[1], self.0[2], 0])
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_and_its_serial_come_back() {
        let id = ConnectionId::new(7, 3);
        assert_eq!((id.slot(), id.to_string()), (7, "7.3".to_owned()));
        assert_eq!(ConnectionId::from_u32(id.get()), id);
        assert_ne!(id, ConnectionId::new(7, 4));
        assert_eq!(ConnectionId::new(7, 4096), ConnectionId::new(7, 0));
    }

    #[test]
    fn counts_saturate_above_every_limit() {
        for count in [0, 1, 65_536, COUNT_LIMIT_MAX] {
            assert_eq!(Count::saturating(count).get(), count);
        }
        assert_eq!(Count::saturating(u32::MAX).get(), COUNT_LIMIT_MAX + 1);
    }
}

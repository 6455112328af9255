//! Which requests for identities may have to wait for the disk before they are decided ([`waiting`](super::waiting)).
//!
//! The server must know it before it hands a request over: such a request may not take the room of others, and what its
//! connection asks after it is left unread. The rule is that of `Counter::next`.

use super::Actor;
use crate::identity::{PID_BITS, Sequence};

/// How far the counter has come, and how far it may go without the disk. Both only grow as long as requests can wait. So
/// a request that need not wait by an older value need not wait now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    sequence: Sequence,
    durable: Sequence,
}

impl Ahead {
    /// By this value every request with an `after` may have to wait.
    pub const NOTHING_KNOWN: Ahead = Ahead {
        sequence: Sequence::ZERO,
        durable: Sequence::ZERO,
    };

    /// Whether a request may have to wait: its `after` is ahead of the counter, and the last identity that it asks for is
    /// not durable.
    #[inline(always)]
    pub const fn may_wait(self, count: u32, after: u64) -> bool {
        let after = after >> PID_BITS;
        // Neither has more than 54 bits, so the sum fits.
        after > self.sequence.get() && after + count as u64 > self.durable.get()
    }
}

impl Actor {
    /// Which requests may have to wait at present.
    #[inline(always)]
    pub fn ahead(&self) -> Ahead {
        Ahead {
            sequence: self.counter.sequence(),
            durable: self.durability.durable(),
        }
    }
}

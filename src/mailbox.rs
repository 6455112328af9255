//! The mailbox: every readiness, every timer expiry, every decoded frame, every signal stands in this one
//! line, and one loop takes them out one at a time, in order.
//!
//! An entry is plain data: it can be compared, printed and replayed. The module may import `actor`,
//! `timer` and `limits`; it does no I/O and decides nothing.

use std::{collections::VecDeque, fmt};

use crate::{
    actor::{ConnectionId, Event, PeerId},
    limits::ENTRY_BYTES_MAX,
    sabotage::{self, Sabotage},
    timer::Timer,
};

/// What stands in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The listener has connections to accept.
    Acceptable,
    /// A connection can be read or written, or both.
    Ready {
        /// Which.
        connection: ConnectionId,
        /// For what.
        readiness: Readiness,
    },
    /// A timer expired. The ticker's expiry is not here: it is the actor's `syncTimeout`.
    Expired(Timer),
    /// The lookup of a peer's name is done; the edge holds the outcome.
    Resolved(PeerId),
    /// The server was asked to stop.
    Signal,
    /// The exact sequence of a clean stop is durable, or could not be made so.
    StopPersisted {
        /// Whether it is.
        durable: bool,
    },
    /// An event of the actor: a decoded frame, the ticker, the disk.
    Event(Event),
}

// A mailbox of thousands of entries is read and written several million times a second: an entry is moved
// by value and has the size of two words.
const _: () = assert!(size_of::<Entry>() <= ENTRY_BYTES_MAX);

impl Entry {
    /// The name in logs, traces and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Entry::Acceptable => "acceptable",
            Entry::Ready { readiness, .. } => readiness.name(),
            Entry::Expired(timer) => timer.name(),
            Entry::Resolved(_) => "resolved",
            Entry::Signal => "signal",
            Entry::StopPersisted { .. } => "stopPersisted",
            Entry::Event(event) => event.name(),
        }
    }
}

impl fmt::Display for Entry {
    /// The name and the fields, as they stand in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Ready {
                connection,
                readiness,
            } => {
                write!(f, "{} connection={connection}", readiness.name())?;
                if readiness.is_read_closed() {
                    f.write_str(" readClosed")
                } else {
                    Ok(())
                }
            }
            Entry::Resolved(peer) => write!(f, "resolved peer={peer}"),
            Entry::StopPersisted { durable } => write!(f, "stopPersisted durable={durable}"),
            Entry::Event(event) => event.fmt(f),
            Entry::Acceptable | Entry::Expired(_) | Entry::Signal => f.write_str(self.name()),
        }
    }
}

/// For what a connection is ready. A hint: it may be spurious, and what is not used up must be dispatched
/// again, because the poll tells of each change once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    /// Something can be read.
    pub const READABLE: Readiness = Readiness(1);
    /// Something can be written.
    pub const WRITABLE: Readiness = Readiness(2);
    /// Something can be read, and behind it the other side has closed: read to the end.
    pub const READ_CLOSED: Readiness = Readiness(1 | 4);

    /// The readiness that the flags of a poll stand for.
    pub const fn new(readable: bool, writable: bool, read_closed: bool) -> Readiness {
        Readiness(
            (readable || read_closed) as u8 | (writable as u8) << 1 | (read_closed as u8) << 2,
        )
    }

    /// Whether to read.
    pub const fn is_readable(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether to write.
    pub const fn is_writable(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether to read to the end.
    pub const fn is_read_closed(self) -> bool {
        self.0 & 4 != 0
    }

    const fn name(self) -> &'static str {
        match (self.is_readable(), self.is_writable()) {
            (true, true) => "readableWritable",
            (true, false) => "readable",
            (false, _) => "writable",
        }
    }
}

/// The one `VecDeque`.
///
/// Its length is bounded by those who dispatch: one poll brings at most
/// [`POLL_EVENTS_MAX`](crate::limits::POLL_EVENTS_MAX), a turn takes out up to
/// [`TURN_ENTRIES_MAX`](crate::limits::TURN_ENTRIES_MAX), and the transport decodes no frame while
/// [`FRAMES_IN_FLIGHT_MAX`](crate::limits::FRAMES_IN_FLIGHT_MAX) wait for their answer.
#[derive(Debug, Default)]
pub struct Mailbox {
    entries: VecDeque<Entry>,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new() -> Mailbox {
        Mailbox::default()
    }

    /// Puts an entry at the end of the line.
    #[inline]
    pub fn dispatch(&mut self, entry: Entry) {
        if sabotage::is(Sabotage::MailboxLifo)
            && matches!(entry, Entry::Event(Event::IdentityRequest { .. }))
        {
            return self.entries.push_front(entry);
        }
        self.entries.push_back(entry);
    }

    /// Brings a connection back to be read: whoever stops before the end has to, since no new edge comes for
    /// what is left.
    pub fn dispatch_readable(&mut self, connection: ConnectionId) {
        self.dispatch(Entry::Ready {
            connection,
            readiness: Readiness::READABLE,
        });
    }

    /// Takes the entry at the head of the line.
    #[inline]
    pub fn take(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_in_the_order_in_which_they_came() {
        let mut mailbox = Mailbox::new();
        assert!(mailbox.is_empty());
        mailbox.dispatch(Entry::Acceptable);
        mailbox.dispatch(Entry::Signal);
        mailbox.dispatch(Entry::Event(Event::SyncTimeout));
        assert_eq!(mailbox.len(), 3);
        assert_eq!(mailbox.take(), Some(Entry::Acceptable));
        assert_eq!(mailbox.take(), Some(Entry::Signal));
        assert_eq!(mailbox.take(), Some(Entry::Event(Event::SyncTimeout)));
        assert_eq!(mailbox.take(), None);
    }

    #[test]
    fn a_readiness_says_what_the_poll_said() {
        for (readable, writable, closed) in [
            (true, false, false),
            (false, true, false),
            (true, true, false),
            (false, false, true),
        ] {
            let readiness = Readiness::new(readable, writable, closed);
            assert_eq!(readiness.is_readable(), readable || closed);
            assert_eq!(readiness.is_writable(), writable);
            assert_eq!(readiness.is_read_closed(), closed);
        }
        let connection = ConnectionId::new(2, 5);
        let entry = Entry::Ready {
            connection,
            readiness: Readiness::READ_CLOSED,
        };
        assert_eq!(entry.to_string(), "readable connection=2.5 readClosed");
    }
}

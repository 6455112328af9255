//! The mailbox: every readiness, every expired timer, every decoded frame and every signal is an entry in this
//! one queue, and one loop takes the entries out one at a time, in order.
//!
//! An entry is plain data: it can be compared, printed and replayed. The module may import `actor`,
//! `timer`, `words` and `limits`; it does no I/O and decides nothing.

use std::{collections::VecDeque, fmt, mem::ManuallyDrop, ops::ControlFlow};

use ipseity_core::{
    actor::Event,
    ids::{ConnectionId, Count, ListenerId, NameId},
    timer::Timer,
    words::EntryKind,
};
use ipseity_http::Refusal;

use crate::limits::ENTRY_BYTES_MAX;

/// What is in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A listener has connections to accept.
    Acceptable(ListenerId),
    /// A connection can be read or written, or both.
    Ready {
        /// The connection.
        connection: ConnectionId,
        /// What it is ready for.
        readiness: Readiness,
    },
    /// A timer expired. The ticker's expiry is not here: it is the actor's `syncTimeout`.
    Expired(Timer),
    /// The lookup of a name is done; the edge has the result.
    Resolved(NameId),
    /// The files of TLS were read again.
    TlsRead,
    /// The store has said who owns the other pids; the edge has the list.
    Owners,
    /// The server was asked to stop.
    Signal,
    /// The server was asked to open its trace file again.
    Hangup,
    /// A request by HTTP that the server answers itself, and who has sent it. In a box, or the entry would be larger.
    Http(Box<(ConnectionId, HttpRequest)>),
    /// An event of the actor: a decoded frame, the ticker, the disk.
    Event(Event),
}

/// A request by HTTP that the server answers itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpRequest {
    /// For a page.
    Page(Page),
    /// One that is refused, and why.
    Refused(Refusal),
}

impl HttpRequest {
    const fn kind(&self) -> EntryKind {
        match self {
            HttpRequest::Page(_) => EntryKind::PageRequest,
            HttpRequest::Refused(_) => EntryKind::HttpRefused,
        }
    }
}

/// What can be asked for by HTTP, besides what frames can ask for too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Whether the loop turns, for a probe.
    Live,
    /// Whether identities can be handed out, for a probe.
    Ready,
    /// The page for people.
    Overview,
}

impl Page {
    const fn name(self) -> &'static str {
        match self {
            Page::Live => "live",
            Page::Ready => "ready",
            Page::Overview => "overview",
        }
    }
}

// A mailbox of thousands of entries is read and written several million times a second: an entry is moved
// by value and has the size of two words.
const _: () = assert!(size_of::<Entry>() <= ENTRY_BYTES_MAX);

impl Entry {
    /// Its kind.
    pub const fn kind(&self) -> EntryKind {
        match self {
            Entry::Acceptable(_) => EntryKind::Acceptable,
            Entry::Ready { readiness, .. } => readiness.kind(),
            Entry::Expired(timer) => timer.kind(),
            Entry::Resolved(_) => EntryKind::Resolved,
            Entry::TlsRead => EntryKind::TlsRead,
            Entry::Owners => EntryKind::Owners,
            Entry::Signal => EntryKind::Signal,
            Entry::Hangup => EntryKind::Hangup,
            Entry::Http(http) => http.1.kind(),
            Entry::Event(event) => event.kind(),
        }
    }

    /// The name in logs, traces and metrics.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

impl fmt::Display for Entry {
    /// The name and the fields, as a trace shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Ready {
                connection,
                readiness,
            } => {
                write!(f, "{} connection={connection}", self.name())?;
                if readiness.is_read_closed() {
                    f.write_str(" readClosed")
                } else {
                    Ok(())
                }
            }
            Entry::Resolved(name) => write!(f, "resolved name={name}"),
            Entry::TlsRead => f.write_str("tlsRead"),
            Entry::Http(http) => {
                let (from, request) = &**http;
                write!(f, "{} from={from} ", self.name())?;
                match request {
                    HttpRequest::Page(page) => write!(f, "page={}", page.name()),
                    HttpRequest::Refused(refusal) => write!(f, "status={:?}", refusal.status()),
                }
            }
            Entry::Event(event) => event.fmt(f),
            Entry::Acceptable(_)
            | Entry::Expired(_)
            | Entry::Owners
            | Entry::Signal
            | Entry::Hangup => f.write_str(self.name()),
        }
    }
}

/// What a connection is ready for. It is only a hint and may be wrong. A readiness that is not used up must be
/// dispatched again, because the poll reports each change once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    /// Something can be read.
    pub const READABLE: Readiness = Readiness(1);

    /// Makes a readiness from the flags of a poll.
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

    /// Whether the other side has ended its stream, so that all of it can be read now.
    pub const fn is_read_closed(self) -> bool {
        self.0 & 4 != 0
    }

    /// More than there are: with one place for each byte, no index has to be checked.
    pub(crate) const COUNT: usize = 256;

    /// All of it as a number below [`COUNT`](Self::COUNT).
    #[inline(always)]
    pub(crate) const fn bits(self) -> usize {
        self.0 as usize
    }

    /// The readiness with these [`bits`](Self::bits).
    pub(crate) const fn of_bits(bits: usize) -> Readiness {
        Readiness(bits as u8)
    }

    /// The kind of an entry with it.
    pub(crate) const fn kind(self) -> EntryKind {
        match (self.is_readable(), self.is_writable()) {
            (true, true) => EntryKind::ReadableWritable,
            (true, false) => EntryKind::Readable,
            (false, _) => EntryKind::Writable,
        }
    }
}

/// The one `VecDeque`.
///
/// Its length is bounded by what is dispatched: one poll brings at most
/// [`POLL_EVENTS_MAX`](crate::limits::POLL_EVENTS_MAX), a turn takes out up to
/// [`TURN_ENTRIES_MAX`](crate::limits::TURN_ENTRIES_MAX), and the transport decodes no frame while
/// [`FRAMES_IN_FLIGHT_MAX`](crate::limits::FRAMES_IN_FLIGHT_MAX) wait for their answer.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// Nearly all entries own nothing. `ManuallyDrop` lets them be removed together, without a check of each whether
    /// it has something to free. Code that takes out any other entry frees it.
    entries: VecDeque<ManuallyDrop<Entry>>,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new() -> Mailbox {
        Mailbox::default()
    }

    /// Puts an entry at the end of the queue.
    #[inline]
    pub fn dispatch(&mut self, entry: Entry) {
        self.entries.push_back(ManuallyDrop::new(entry));
    }

    /// Puts this many identityRequests of one connection at the end of the queue. Each is one without a body: it asks
    /// for one identity, and has no `after`.
    #[inline(always)]
    pub fn dispatch_bare_requests(&mut self, from: ConnectionId, requests: usize) {
        let request = || {
            let (count, after) = (Count::ONE, 0);
            ManuallyDrop::new(Entry::Event(Event::IdentityRequest { from, count, after }))
        };
        // bug MailboxLifo: (0..requests).for_each(|_| self.entries.push_front(request())); return;
        if requests > 1 {
            // This needs some preparation. After that it costs a fifth of pushing each request alone.
            self.entries.extend((0..requests).map(|_| request()));
        } else if requests == 1 {
            self.entries.push_back(request());
        }
    }

    /// Dispatches a readiness of our own. Code that stops reading before the socket is empty needs it, because the
    /// poll does not report again what is left.
    pub fn dispatch_readable(&mut self, connection: ConnectionId) {
        self.dispatch(Entry::Ready {
            connection,
            readiness: Readiness::READABLE,
        });
    }

    /// The first entry. It stays in the queue.
    #[inline(always)]
    fn first(&self) -> Option<&Entry> {
        self.entries.front().map(|entry| &**entry)
    }

    /// Takes the first entry out.
    #[inline]
    pub fn take(&mut self) -> Option<Entry> {
        self.entries.pop_front().map(ManuallyDrop::into_inner)
    }

    /// Takes identityRequests of one connection from the front of the queue, one after the other, until `handle` says
    /// to stop or another entry comes: at most `most`, and perhaps fewer than there are. Returns how many.
    ///
    /// They are handled in place and removed together, which costs half as much as taking out each alone.
    #[inline(always)]
    pub fn take_identity_requests(
        &mut self,
        of: ConnectionId,
        most: usize,
        mut handle: impl FnMut(Count, u64) -> ControlFlow<()>,
    ) -> usize {
        let asked = |entry: &Entry| match *entry {
            Entry::Event(Event::IdentityRequest { from, count, after }) if from == of => {
                Some((count, after))
            }
            _ => None,
        };
        if self.first().and_then(asked).is_none() {
            // Return before any preparation. This is the usual case: clients that wait for a reply before they ask
            // again.
            return 0;
        }
        // The queue may go on in the second slice. The next call takes the rest.
        let (front, _) = self.entries.as_slices();
        let front = &front[..most.min(front.len())];
        // The requests are counted once, at the end, because the loop needs every register.
        let mut left = front.iter();
        while let Some((count, after)) = left.as_slice().first().and_then(|entry| asked(entry)) {
            left.next();
            if handle(count, after).is_break() {
                break;
            }
        }
        let taken = front.len() - left.len();
        // They own nothing, so nothing has to be freed.
        self.entries.drain(..taken);
        taken
    }

    /// How many entries wait.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no entry waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        while self.take().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_in_the_order_in_which_they_came() {
        let mut mailbox = Mailbox::new();
        assert!(mailbox.is_empty());
        mailbox.dispatch(Entry::Acceptable(ListenerId(0)));
        mailbox.dispatch(Entry::Signal);
        mailbox.dispatch(Entry::Event(Event::SyncTimeout));
        assert_eq!(mailbox.entries.len(), 3);
        assert_eq!(mailbox.take(), Some(Entry::Acceptable(ListenerId(0))));
        assert_eq!(mailbox.take(), Some(Entry::Signal));
        assert_eq!(mailbox.take(), Some(Entry::Event(Event::SyncTimeout)));
        assert_eq!(mailbox.take(), None);
    }

    fn request(from: ConnectionId, after: u64) -> Entry {
        let count = Count::ONE;
        Entry::Event(Event::IdentityRequest { from, count, after })
    }

    #[test]
    fn requests_of_one_connection_are_taken_in_order_and_no_others() {
        let (one, other) = (ConnectionId::new(1, 1), ConnectionId::new(2, 1));
        let go_on = |_, _| ControlFlow::Continue(());
        let mut mailbox = Mailbox::new();
        // In one of these rounds the queue wraps around the end of its memory, whatever its size is.
        for round in 0..40 {
            assert_eq!(mailbox.take_identity_requests(one, 9, go_on), 0);
            for after in 1..=4 {
                mailbox.dispatch(request(one, after));
            }
            mailbox.dispatch(request(other, 5));
            mailbox.dispatch(Entry::Signal);
            assert_eq!(mailbox.take_identity_requests(other, 9, go_on), 0);
            let mut seen = Vec::new();
            // Each call takes at most `most` requests, and at least one.
            while seen.len() < 3 {
                let most = 3 - seen.len();
                let taken = mailbox.take_identity_requests(one, most, |count, after| {
                    assert_eq!(count, Count::ONE);
                    seen.push(after);
                    ControlFlow::Continue(())
                });
                assert!(
                    (1..=most).contains(&taken),
                    "{taken} of {most} in round {round}"
                );
            }
            assert_eq!(seen, [1, 2, 3]);
            mailbox.dispatch(request(one, 6));
            // The request at which `handle` says to stop is taken too.
            let stop = |_, after| {
                assert_eq!(after, 4);
                ControlFlow::Break(())
            };
            assert_eq!(mailbox.take_identity_requests(one, 9, stop), 1);
            assert_eq!(mailbox.take_identity_requests(one, 9, go_on), 0);
            assert_eq!(mailbox.take(), Some(request(other, 5)));
            assert_eq!(mailbox.take_identity_requests(one, 9, go_on), 0);
            assert_eq!(mailbox.take(), Some(Entry::Signal));
            assert_eq!(mailbox.take(), Some(request(one, 6)));
            assert!(mailbox.is_empty());
        }
    }

    #[test]
    fn bare_requests_are_as_many_entries() {
        let from = ConnectionId::new(1, 1);
        for requests in [0, 1, 2, 100] {
            let mut mailbox = Mailbox::new();
            mailbox.dispatch_bare_requests(from, requests);
            assert_eq!(mailbox.entries.len(), requests);
            for _ in 0..requests {
                assert_eq!(mailbox.take(), Some(request(from, 0)));
            }
        }
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
            readiness: Readiness::new(true, false, true),
        };
        assert_eq!(entry.to_string(), "readable connection=2.5 readClosed");
    }
}

//! Looking up names with the system's resolver, which blocks. Each lookup has a thread of its own, and few are under
//! way at a time.

use std::{collections::VecDeque, net::ToSocketAddrs, thread};

use super::{Done, Reporter};
use ipseity_core::ids::PeerId;

use crate::limits::LOOKUPS_MAX;

/// The lookups under way, at most [`LOOKUPS_MAX`], and those that wait for a thread.
#[derive(Debug)]
pub(super) struct Lookups {
    reporter: Reporter,
    under_way: usize,
    /// Those that wait for a thread, in order; at most one for each peer.
    waiting: VecDeque<(PeerId, String)>,
}

impl Lookups {
    pub(super) fn new(reporter: Reporter) -> Lookups {
        Lookups {
            reporter,
            under_way: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Starts a lookup, now or when there is a thread for it. If it cannot be started, it is reported as failed, and
    /// the server tries it again later.
    pub(super) fn begin(&mut self, peer: PeerId, name: &str) {
        self.waiting.push_back((peer, name.to_owned()));
        self.begin_waiting();
    }

    /// Notes that a lookup is done, and starts the next one.
    pub(super) fn finished(&mut self) {
        self.under_way -= 1;
        self.begin_waiting();
    }

    fn begin_waiting(&mut self) {
        while self.under_way < LOOKUPS_MAX
            && let Some((peer, name)) = self.waiting.pop_front()
        {
            self.under_way += 1;
            let reporter = self.reporter.clone();
            let lookup = move || {
                let outcome = name.to_socket_addrs().map(Iterator::collect);
                reporter.report(Done::Resolved(peer, outcome));
            };
            let thread = thread::Builder::new().name("ipseity-lookup".to_owned());
            if let Err(error) = thread.spawn(lookup) {
                self.reporter.report(Done::Resolved(peer, Err(error)));
            }
        }
    }
}

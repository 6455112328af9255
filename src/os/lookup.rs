//! Looking up names with the system's resolver, which blocks: each lookup has a thread of its own, and there
//! are few at one time.

use std::{io, net::ToSocketAddrs, thread};

use super::{Done, Reporter};
use crate::{actor::PeerId, limits::LOOKUPS_MAX};

/// The lookups under way.
#[derive(Debug)]
pub(super) struct Lookups {
    reporter: Reporter,
    under_way: usize,
}

impl Lookups {
    pub(super) fn new(reporter: Reporter) -> Lookups {
        Lookups {
            reporter,
            under_way: 0,
        }
    }

    /// Begins a lookup. One that cannot begin is reported as failed, and will be tried again.
    pub(super) fn begin(&mut self, peer: PeerId, name: &str) {
        self.under_way += 1;
        if self.under_way > LOOKUPS_MAX {
            let error = io::Error::other("too many lookups are under way");
            return self.reporter.report(Done::Resolved(peer, Err(error)));
        }
        let (name, reporter) = (name.to_owned(), self.reporter.clone());
        let lookup = move || {
            let outcome = name.to_socket_addrs().map(Iterator::collect);
            reporter.report(Done::Resolved(peer, outcome));
        };
        if let Err(error) = thread::Builder::new()
            .name("ipseity-lookup".to_owned())
            .spawn(lookup)
        {
            self.reporter.report(Done::Resolved(peer, Err(error)));
        }
    }

    /// Hears that one is done.
    pub(super) fn finished(&mut self) {
        self.under_way -= 1;
    }
}

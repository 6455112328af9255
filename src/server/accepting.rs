//! Accepting: a limited number of connections at a time comes in through the listeners.

use std::io;

use log::{debug, warn};

use super::{
    Server,
    telling::{Line, Whom},
};
use ipseity_core::{
    ids::ListenerId,
    time::{self, Instant},
    timer::Timer,
};

use crate::{
    connection::Holder,
    edge::Edge,
    limits::{ACCEPT_RETRY, ACCEPTS_PER_TURN_MAX, LINES_SPAN, LISTEN_BACKLOG},
    transport::{Admitted, Arrival, Freed},
};

impl<E: Edge> Server<E> {
    /// Accepts the connections that wait at all listeners.
    pub(super) fn accept_all(&mut self) {
        for listener in self.listeners.ids() {
            self.on_acceptable(listener);
        }
    }

    /// Accepts all connections that have arrived: the server is about to stop, and accepts no more later.
    pub(super) fn accept_the_last(&mut self) {
        for listener in self.listeners.ids() {
            self.accept(listener, LISTEN_BACKLOG as usize);
        }
    }

    #[cold]
    pub(super) fn on_acceptable(&mut self, listener: ListenerId) {
        self.accept(listener, ACCEPTS_PER_TURN_MAX);
    }

    fn accept(&mut self, listener: ListenerId, most: usize) {
        for _ in 0..most {
            match self.edge.accept(listener) {
                Ok((socket, address)) => {
                    debug!(event = "connectionOpened", address:% = address; "connection from {address}");
                    let arrival = Arrival {
                        socket,
                        address,
                        listener: self.listeners.get(listener),
                    };
                    let admitted =
                        self.transport
                            .admit(&mut self.edge, arrival, self.now, &mut self.mailbox);
                    match admitted {
                        Admitted::Placed => {}
                        Admitted::InPlaceOfIdle => {
                            self.tell_that_it_is_full("those that are idle longest are closed");
                        }
                        Admitted::Full => self.tell_that_it_is_full("more clients are refused"),
                        Admitted::FullOfHttp => self.tell_that_http_is_full(),
                        Admitted::OverAddress(holder) => self.tell_of_crowd(holder),
                    }
                    if self.transport.has_idle_timeout() {
                        self.set_sweep();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // This connection is gone already. Another one may wait after it.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::Interrupted
                    ) => {}
                // Usually there are no descriptors left. A connection of a reserve is closed to free one.
                Err(error) => {
                    match self.transport.free_descriptor(self.now, &mut self.mailbox) {
                        Freed::Now => continue,
                        // The next turn goes on.
                        Freed::Soon => break,
                        Freed::Nothing => {}
                    }
                    // There is no descriptor to free. The connection stays in the kernel's queue, and the kernel
                    // promises no new edge for it. So a timer brings the loop back here.
                    if self.may_tell(Line::AcceptFailed, Whom::Nobody) {
                        warn!(
                            event = "acceptFailed", reason:% = error;
                            "cannot accept a connection: {error}; trying again every {} ms (see ulimit -n \
                             and --max-connections)",
                            ACCEPT_RETRY.as_millis()
                        );
                    }
                    self.timers.set(Timer::Accept, self.now.after(ACCEPT_RETRY));
                    return;
                }
            }
        }
        // There may be more, but the others have their turn first. An entry in the mailbox would be handled in the same turn.
        self.timers.set(Timer::Accept, self.now);
    }

    /// Logs that all places for clients are taken and who holds most of all, at most once a minute.
    fn tell_that_it_is_full(&mut self, consequence: &str) {
        if is_due(&mut self.full_told_at, self.now) {
            warn!(
                event = "placesTaken";
                "no place for clients is left (of {}), and {consequence}; most connections come from {}: close some \
                 there, or raise --max-connections",
                self.transport.limits().connections_max,
                most_of(self.transport.holders())
            );
        }
    }

    /// The same of the places for HTTP.
    fn tell_that_http_is_full(&mut self) {
        if is_due(&mut self.http_full_told_at, self.now) {
            warn!(
                event = "httpPlacesTaken";
                "no place for HTTP is left (of {}), and nothing more is answered there but /livez and /readyz; most \
                 connections come from {}: close some there",
                self.transport.limits().http_max,
                most_of(self.transport.web_holders())
            );
        }
    }

    /// Logs that an address has as many connections as it may have, at most once a minute.
    fn tell_of_crowd(&mut self, holder: Holder) {
        if !is_due(&mut self.crowd_told_at, self.now) {
            return;
        }
        let most = self.transport.limits().per_address_max.unwrap_or_default();
        warn!(
            event = "addressFull", address:% = holder;
            "{holder} has {most} connections, and more are refused: close some there, or raise \
             --max-connections-per-address"
        );
    }
}

/// Who holds most connections, in words.
fn most_of(holders: Vec<(Holder, usize)>) -> String {
    let most: Vec<String> = holders
        .into_iter()
        .map(|(holder, count)| format!("{holder} ({count})"))
        .collect();
    most.join(" and ")
}

/// Whether a line that is logged at most once a minute may be logged now. If so, `told_at` is set.
///
/// [`Telling`](super::telling::Telling) is not asked, because it would also log how many lines were left out: how many
/// connections were refused is in the status.
pub(super) fn is_due(told_at: &mut Option<Instant>, now: Instant) -> bool {
    time::is_due(told_at, now, LINES_SPAN)
}

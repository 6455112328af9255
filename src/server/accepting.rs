//! Accepting: connections come in by the listeners, a limited number at a time.

use std::io;

use log::{debug, warn};

use super::Server;
use ipseity_core::{ids::ListenerId, timer::Timer};

use crate::{
    edge::Edge,
    limits::{ACCEPT_RETRY, ACCEPTS_PER_TURN_MAX},
    mailbox::Entry,
    transport::Arrival,
};

impl<E: Edge> Server<E> {
    /// Takes in those who wait at any listener.
    pub(super) fn accept_all(&mut self) {
        for listener in self.listeners.ids() {
            self.on_acceptable(listener);
        }
    }

    #[cold]
    pub(super) fn on_acceptable(&mut self, listener: ListenerId) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match self.edge.accept(listener) {
                Ok((socket, address)) => {
                    debug!("connection from {address}");
                    let arrival = Arrival {
                        socket,
                        address,
                        listener: self.listeners.get(listener),
                    };
                    self.transport
                        .admit(&mut self.edge, arrival, self.now, &mut self.mailbox);
                    if self.transport.has_idle_timeout() {
                        self.set_sweep();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.accept_failed = false;
                    return;
                }
                // The one that came is gone again; the next may be there.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::Interrupted
                    ) => {}
                // Mostly no descriptors. Those who are only there to be told make room for the next.
                Err(_) if self.transport.free_descriptor(self.now, &mut self.mailbox) => {}
                Err(error) => {
                    // Nothing is left to give. The connection stays in the kernel's queue, and no
                    // new edge is promised for it: a timer brings the loop back here.
                    if !self.accept_failed {
                        warn!(
                            "cannot accept a connection: {error}; trying again every {} ms (see ulimit -n \
                             and --max-connections)",
                            ACCEPT_RETRY.as_millis()
                        );
                        self.accept_failed = true;
                    }
                    self.timers.set(Timer::Accept, self.now.after(ACCEPT_RETRY));
                    return;
                }
            }
        }
        // There may be more, but others have their turn first.
        self.mailbox.dispatch(Entry::Acceptable(listener));
    }
}

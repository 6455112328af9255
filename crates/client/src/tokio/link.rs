//! A connection as the calls see it: requests in, replies out. Its owner does the rest.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{
    owner::{Ask, Known, Owner, Reply},
    shared::{Ended, Shared},
    stream::Stream,
};
use crate::{
    Block, FailureCause,
    clock::Deadline,
    judge::Trouble,
    limits::{CLIENT_IN_FLIGHT_MAX, TIMEOUT_MIN},
};

/// A connection to one server. Its owner ends when the last of those who use it has gone.
#[derive(Debug)]
pub(super) struct Link {
    /// The place of the server in the list.
    pub(super) place: usize,
    asks: mpsc::UnboundedSender<Ask>,
    /// The requests that may still be under way.
    places: Arc<Semaphore>,
    known: Arc<Known>,
}

impl Link {
    /// Connects to a server, and gives the connection to an owner of its own.
    pub(super) async fn open(shared: &Arc<Shared>, place: usize) -> Result<Link, FailureCause> {
        let setup = &shared.setup;
        let deadline = Deadline::within(setup.options.connect_timeout.max(TIMEOUT_MIN));
        let server = &setup.servers[place];
        let stream = Stream::open(setup, server, deadline).await?;
        shared.watch.connected(server);
        // It has no bound of its own, because each ask has a place.
        let (asks, received) = mpsc::unbounded_channel();
        let link = Link {
            place,
            asks,
            places: Arc::new(Semaphore::new(CLIENT_IN_FLIGHT_MAX)),
            known: Arc::new(Known {
                count_max: AtomicU32::new(0),
                untold: Mutex::new(None),
            }),
        };
        let owner = Owner::new(
            Arc::clone(shared),
            place,
            stream,
            received,
            Arc::clone(&link.places),
            Arc::clone(&link.known),
        );
        tokio::spawn(owner.work());
        Ok(link)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.asks.is_closed()
    }

    /// The most identities that a request may ask for, once the server has said it.
    pub(super) fn count_max(&self) -> Option<u32> {
        match self.known.count_max.load(Ordering::Acquire) {
            0 => None,
            count_max => Some(count_max),
        }
    }

    /// Why the connection has ended, if no call was told.
    pub(super) fn take_untold(&self) -> Option<Trouble> {
        let untold = self.known.untold.lock();
        untold.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks for identities, as soon as not too many requests are under way.
    pub(super) async fn ask(&self, count: u32) -> Result<oneshot::Receiver<Reply>, Ended> {
        let ended = || self.take_untold().map_or(Ended::Stale, Ended::By);
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| ended())?;
        let (reply, received) = oneshot::channel();
        let ask = Ask {
            count,
            reply,
            _place: place,
        };
        self.asks.send(ask).map_err(|_| ended())?;
        Ok(received)
    }
}

/// Waits for the reply to a request.
pub(super) async fn receive(reply: oneshot::Receiver<Reply>) -> Result<Block, Ended> {
    // Without a word the owner ends only if its runtime does.
    reply.await.unwrap_or(Err(Ended::Stale))
}

//! The real actor on a thread of its own, behind a bounded channel.

use std::{
    collections::BTreeMap,
    sync::mpsc::{self, Receiver, Sender, SyncSender},
    thread,
};

use ipseity_core::{
    actor::Event,
    ids::{ConnectionId, Count},
    time::Instant,
};

use super::{Reply, Request, actor, threads::Service};

/// As many events as the channel of the essay holds.
const CHANNEL_EVENTS_MAX: usize = 1024;

/// What the channel carries.
enum Entry {
    /// A connection, and where its replies go.
    Came(ConnectionId, Sender<Reply>),
    /// It has gone, and nothing more comes from it.
    Went(ConnectionId),
    /// An event of the actor.
    Event(Event),
}

/// The end of the channel that the threads of connections have.
#[derive(Debug)]
pub struct Dispatcher(SyncSender<Entry>);

impl Dispatcher {
    /// Starts the actor's thread.
    pub fn start() -> Dispatcher {
        let (dispatcher, mailbox) = mpsc::sync_channel(CHANNEL_EVENTS_MAX);
        thread::spawn(move || handle(&mailbox));
        Dispatcher(dispatcher)
    }

    fn dispatch(&self, entry: Entry) {
        self.0
            .send(entry)
            .expect("the actor's thread lives as long as a dispatcher");
    }
}

/// The actor's thread: one event at a time, each to its end.
fn handle(mailbox: &Receiver<Entry>) {
    let mut actor = actor();
    let mut effects = Vec::new();
    let mut connections = BTreeMap::new();
    for entry in mailbox {
        match entry {
            Entry::Came(connection, replies) => {
                connections.insert(connection, replies);
            }
            Entry::Went(connection) => {
                connections.remove(&connection);
            }
            Entry::Event(event) => actor.handle(event, Instant::START, &mut effects),
        }
        for (to, reply) in effects.drain(..).filter_map(Reply::of) {
            if let Some(replies) = connections.get(&to) {
                // A connection that waits for no reply is about to say that it went.
                let _ = replies.send(reply);
            }
        }
    }
}

/// What a connection's thread keeps.
#[derive(Debug)]
pub struct Session {
    connection: ConnectionId,
    /// It needs no bound of its own: what is owed to a connection is no more than one read has brought. With
    /// one, the actor could wait for a thread that waits for the actor.
    replies: Receiver<Reply>,
    owed: usize,
}

impl Service for Dispatcher {
    type Session = Session;

    fn open(&self, serial: u32) -> Session {
        let connection = ConnectionId::from_u32(serial);
        let (sender, replies) = mpsc::channel();
        self.dispatch(Entry::Came(connection, sender));
        Session {
            connection,
            replies,
            owed: 0,
        }
    }

    fn take(&self, session: &mut Session, request: Request, _out: &mut Vec<u8>) {
        self.dispatch(Entry::Event(Event::IdentityRequest {
            from: session.connection,
            count: Count::saturating(request.count),
            after: request.after,
        }));
        session.owed += 1;
    }

    fn finish(&self, session: &mut Session, out: &mut Vec<u8>) {
        for reply in session.replies.iter().take(session.owed) {
            reply.encode(out);
        }
        session.owed = 0;
    }

    fn close(&self, session: Session) {
        self.dispatch(Entry::Went(session.connection));
    }
}

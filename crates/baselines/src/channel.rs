//! The real actor on its own thread, behind a bounded channel.

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

/// The capacity of the channel, as in the essay.
const CHANNEL_EVENTS_MAX: usize = 1024;

/// A message in the channel.
enum Entry {
    /// A connection has come, and its replies go to this sender.
    Came(ConnectionId, Sender<Reply>),
    /// A connection has gone, and nothing more comes from it.
    Went(ConnectionId),
    /// An event of the actor.
    Event(Event),
}

/// The sending end of the channel, for the threads of the connections.
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

/// The actor's thread: it handles one event at a time, completely.
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
                // If the connection no longer waits for a reply, it is about to report that it has gone.
                let _ = replies.send(reply);
            }
        }
    }
}

/// The state of a connection's thread.
#[derive(Debug)]
pub struct Session {
    connection: ConnectionId,
    /// It needs no limit of its own: a connection is owed no more replies than one read has brought requests. With a
    /// limit, the actor could wait for a thread that waits for the actor.
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

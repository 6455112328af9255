//! A connection of the stand-in: any number of calls write requests, one thread reads all replies.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::{Arc, Mutex, MutexGuard, mpsc},
    thread,
    time::Instant,
};

use ipseity_core::words::{ErrorReply, Message};
use ipseity_frames::{FrameDecoder, Receiver};
use serde_json::json;

use super::faults::has;
use crate::message::{bytes, from_json};

/// The most requests that are under way on a connection.
const UNDER_WAY_MAX: usize = 1024;

/// What comes of a request.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Identities(u64, u32),
    Error(ErrorReply),
    Violation(String),
    WrongCluster(String),
    /// The connection is broken; whether a part of a reply had come.
    Broken {
        cause: String,
        in_reply: bool,
    },
    Cancelled,
    Closed,
}

enum Asked {
    Hello,
    Identities {
        count: u32,
        after: u64,
        to: mpsc::Sender<Event>,
        id: u64,
    },
}

pub(super) struct Link {
    stream: TcpStream,
    cluster: String,
    says_hello: bool,
    state: Mutex<State>,
}

struct State {
    asked: VecDeque<Asked>,
    /// Why it is not used any more.
    end: Option<Event>,
    has_said_hello: bool,
    newest: u64,
    pid: Option<u64>,
    count_max: Option<u32>,
    replies: u64,
    heard: Instant,
    used: Instant,
    next_id: u64,
}

impl Link {
    pub(super) fn new(stream: TcpStream, cluster: &str, says_hello: bool) -> Arc<Link> {
        let now = Instant::now();
        let link = Arc::new(Link {
            stream,
            cluster: cluster.to_owned(),
            says_hello: says_hello && !has("says-no-hello"),
            state: Mutex::new(State {
                asked: VecDeque::new(),
                end: None,
                has_said_hello: false,
                newest: 0,
                pid: None,
                count_max: None,
                replies: 0,
                heard: now,
                used: now,
                next_id: 0,
            }),
        });
        thread::spawn({
            let link = Arc::clone(&link);
            move || link.read()
        });
        link
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Writes a request, or says why not.
    pub(super) fn ask(
        &self,
        count: u32,
        after: u64,
        to: mpsc::Sender<Event>,
    ) -> Result<u64, Event> {
        let mut state = self.state();
        if let Some(end) = &state.end {
            return Err(end.clone());
        }
        let mut out = Vec::new();
        if self.says_hello && !state.has_said_hello {
            state.has_said_hello = true;
            let hello = json!({"kind": "helloRequest", "cluster": self.cluster});
            out.extend(bytes(&from_json(&hello).unwrap()));
            state.asked.push_back(Asked::Hello);
        }
        let id = state.next_id;
        state.next_id += 1;
        let sent_after = if has("forgets-after") { 0 } else { after };
        out.extend(bytes(&Message::IdentityRequest {
            count,
            after: sent_after,
        }));
        state.asked.push_back(Asked::Identities {
            count,
            after,
            to,
            id,
        });
        state.used = Instant::now();
        state.heard = state.used.max(state.heard);
        drop(state);
        // If it fails, the reader sees it as well.
        let _ = (&self.stream).write_all(&out);
        Ok(id)
    }

    /// The caller has gone.
    pub(super) fn forget(&self, id: u64) {
        if has("shifts-replies") {
            let is_it = |asked: &Asked| matches!(asked, Asked::Identities { id: other, .. } if *other == id);
            self.state().asked.retain(|asked| !is_it(asked));
        }
    }

    pub(super) fn pid(&self) -> Option<u64> {
        self.state().pid
    }

    pub(super) fn count_max(&self) -> Option<u32> {
        self.state().count_max
    }

    /// Whether further requests have to wait for their turn.
    pub(super) fn is_full(&self) -> bool {
        self.state().asked.len() >= UNDER_WAY_MAX
    }

    pub(super) fn was_used(&self) -> bool {
        self.state().replies > 0
    }

    /// Since when it owes the next reply.
    pub(super) fn heard(&self) -> Instant {
        self.state().heard
    }

    pub(super) fn used(&self) -> Instant {
        self.state().used
    }

    /// It is not used any more: all who wait are told this.
    pub(super) fn end(&self, event: Event) {
        let mut state = self.state();
        if state.end.is_none() {
            state.end = Some(event.clone());
        }
        for asked in state.asked.drain(..) {
            if let Asked::Identities { to, .. } = asked {
                let _ = to.send(event.clone());
            }
        }
        drop(state);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn read(&self) {
        let mut decoder = FrameDecoder::new();
        loop {
            let count = match (&self.stream).read(decoder.space()) {
                Ok(0) => return self.broken("the server closed the connection", &decoder),
                Err(error) => return self.broken(&error.to_string(), &decoder),
                Ok(count) => count,
            };
            if has("waits-for-each-byte") {
                self.state().heard = Instant::now();
            }
            decoder.filled(count);
            loop {
                match decoder.next(Receiver::Client) {
                    Ok(Some(message)) => {
                        if let Err(event) = self.take(message) {
                            return self.end_first(event);
                        }
                    }
                    Ok(None) if has("reads-whole-packets") && !decoder.is_empty() => {
                        return self.end_first(Event::Violation("half a frame came".to_owned()));
                    }
                    Ok(None) => break,
                    Err(error) => return self.end_first(Event::Violation(error.to_string())),
                }
            }
        }
    }

    fn broken(&self, cause: &str, decoder: &FrameDecoder) {
        let in_reply = !decoder.is_empty();
        self.end(Event::Broken {
            cause: cause.to_owned(),
            in_reply,
        });
    }

    /// The one whose turn it is gets this, and the others are told that the connection is gone.
    fn end_first(&self, event: Event) {
        let mut state = self.state();
        let is_for_all = matches!(event, Event::WrongCluster(_) | Event::Closed);
        let mut is_told = is_for_all;
        while !is_for_all && let Some(asked) = state.asked.pop_front() {
            if let Asked::Identities { to, .. } = asked {
                let _ = to.send(event.clone());
                is_told = true;
                break;
            }
        }
        let cause = "the connection ended with an error".to_owned();
        let rest = Event::Broken {
            cause,
            in_reply: false,
        };
        // What came while nobody had asked is for the next who asks.
        let rest = if is_for_all || !is_told { event } else { rest };
        drop(state);
        self.end(rest);
    }

    /// A message, or why the connection ends.
    fn take(&self, message: Message) -> Result<(), Event> {
        let mut state = self.state();
        state.replies += 1;
        state.heard = Instant::now();
        state.used = state.heard;
        let violation = |text: String| Err(Event::Violation(text));
        match message {
            Message::ErrorReply(error) if !(32..64).contains(&error.code) => {
                Err(Event::Error(*error))
            }
            Message::ErrorReply(error) => match state.asked.pop_front() {
                Some(Asked::Identities { to, .. }) => {
                    let _ = to.send(Event::Error(*error));
                    Ok(())
                }
                Some(Asked::Hello) => Err(Event::Error(*error)),
                None => violation("an error came that nobody asked for".to_owned()),
            },
            Message::HelloReply(server) => match state.asked.front() {
                Some(Asked::Hello) => {
                    state.asked.pop_front();
                    let name = server.cluster.as_str();
                    let is_other = !self.cluster.is_empty() && name != self.cluster;
                    if is_other && !has("never-checks-cluster") {
                        return Err(Event::WrongCluster(name.to_owned()));
                    }
                    state.pid = Some(u64::from(server.pid.get()));
                    state.count_max = Some(server.count_max);
                    Ok(())
                }
                _ => violation("a helloReply came that nobody asked for".to_owned()),
            },
            Message::IdentityReply { first, count } => match state.asked.pop_front() {
                Some(Asked::Identities {
                    count: asked,
                    after,
                    to,
                    ..
                }) => {
                    let last = u128::from(first) + 1024 * u128::from(count.saturating_sub(1));
                    let checks = [
                        ("never-checks-count", count == asked, "another count came"),
                        (
                            "never-checks-after",
                            first > after,
                            "it is not greater than after",
                        ),
                        ("never-checks-order", first > state.newest, "it came before"),
                        (
                            "never-checks-range",
                            first >= 1024 && last < 1 << 63,
                            "it is no identity",
                        ),
                        (
                            "never-checks-pid",
                            state.pid.is_none_or(|pid| pid == first % 1024),
                            "it has another pid",
                        ),
                    ];
                    let failed = checks.iter().find(|(fault, good, _)| !good && !has(fault));
                    if let Some((_, _, what)) = failed {
                        state.asked.push_front(Asked::Identities {
                            count: asked,
                            after,
                            to,
                            id: u64::MAX,
                        });
                        return violation(format!("{first} with count {count} came: {what}"));
                    }
                    state.newest = last as u64;
                    state.pid.get_or_insert(first % 1024);
                    let _ = to.send(Event::Identities(first, count));
                    Ok(())
                }
                None if has("takes-unasked") => Ok(()),
                Some(Asked::Hello) | None => {
                    violation("identities came that nobody asked for".to_owned())
                }
            },
            other => violation(format!("a {} came", other.name())),
        }
    }
}

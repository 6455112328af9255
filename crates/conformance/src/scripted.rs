//! A server that follows a script, made of threads.

mod serve;

use std::{
    io::{self, ErrorKind, Read as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ipseity_core::words::{ErrorCode, ErrorReply, Hello, Message};
use ipseity_frames::{FrameDecoder, Receiver};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use socket2::SockRef;

use crate::{
    compare::matches,
    message::{self, bytes, to_json},
    scenario::{Face, Script, Step, Work},
    wire::{Raw, Wire},
};

/// How far apart the two parts of a split are sent.
const SPLIT_PAUSE: Duration = Duration::from_millis(5);

/// A record of TLS begins with this byte.
const TLS_HANDSHAKE: u8 = 0x16;

/// A scripted server on a port of its own. It ends when it is dropped.
pub struct Scripted {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    face: Face,
    tls: Option<Arc<ServerConfig>>,
    scripts: Vec<Script>,
    again: bool,
    /// The highest sequence that was handed out by those steps that serve.
    sequence: Mutex<u64>,
    /// How many replies those have given.
    replies: AtomicU64,
    /// How many bytes were sent, and before which of them there is a pause.
    sent: AtomicUsize,
    cut: Option<usize>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    accepted: usize,
    faults: Vec<String>,
    /// How many connections wait for something that must come.
    waiting: usize,
    /// How many identities each request has asked for, hello not counted.
    requests: Vec<u32>,
    streams: Vec<Weak<TcpStream>>,
}

impl Scripted {
    /// A server that does this work where it listens: a script or serving.
    pub fn start(
        listener: TcpListener,
        face: Face,
        work: &Work,
        tls: Option<Arc<ServerConfig>>,
        cut: Option<usize>,
    ) -> Scripted {
        let (scripts, again) = match work {
            Work::Scripts { scripts, again } => (scripts.clone(), *again),
            Work::Serve(serve) => {
                let steps = vec![Step::Serve(serve.clone())];
                let is_hello_by_hand = false;
                (
                    vec![Script {
                        is_hello_by_hand,
                        steps,
                    }],
                    true,
                )
            }
            Work::Closed | Work::Silent | Work::Unreachable => unreachable!("nobody works there"),
        };
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            face,
            tls,
            scripts,
            again,
            sequence: Mutex::new(0),
            replies: AtomicU64::new(0),
            sent: AtomicUsize::new(0),
            cut,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Scripted {
            shared,
            address,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has got.
    pub fn accepted(&self) -> usize {
        self.shared.state.lock().unwrap().accepted
    }

    /// How many bytes it has sent.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Waits until it has got so many requests, at most for this time. Returns whether it has.
    pub fn wait_for(&self, requests: usize, patience: Duration) -> bool {
        let state = self.shared.state.lock().unwrap();
        let is_waiting = |state: &mut State| state.requests.len() < requests;
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, is_waiting);
        !waited.unwrap().1.timed_out()
    }

    /// How many requests it has got.
    pub fn requests(&self) -> usize {
        self.shared.state.lock().unwrap().requests.len()
    }

    /// How many identities each request has asked for, from this one on. They are numbered as they came, from 0.
    pub fn asked_from(&self, request: usize) -> Vec<u32> {
        let state = self.shared.state.lock().unwrap();
        state.requests[request.min(state.requests.len())..].to_vec()
    }

    /// Waits until every connection has got what it expects, at most for this time.
    pub fn settle(&self, patience: Duration) {
        let state = self.shared.state.lock().unwrap();
        let is_waiting = |state: &mut State| state.waiting > 0;
        drop(
            self.shared
                .changed
                .wait_timeout_while(state, patience, is_waiting),
        );
    }

    /// Ends all connections, and returns what was not as the script says.
    pub fn end(&mut self) -> Vec<String> {
        let streams = {
            let mut state = self.shared.state.lock().unwrap();
            state.stopping = true;
            self.shared.changed.notify_all();
            std::mem::take(&mut state.streams)
        };
        for stream in streams.iter().filter_map(Weak::upgrade) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            // Wakes it, and then it sees that it has to stop.
            let _ = TcpStream::connect(self.address);
            let _ = acceptor.join();
        }
        self.shared.state.lock().unwrap().faults.clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.end();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let number = {
            let mut state = shared.state.lock().unwrap();
            if state.stopping {
                break;
            }
            state.accepted += 1;
            state.accepted - 1
        };
        let script = match shared.scripts.get(number) {
            Some(script) => script.clone(),
            None if shared.again && !shared.scripts.is_empty() => {
                shared.scripts[shared.scripts.len() - 1].clone()
            }
            None => continue,
        };
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        shared
            .state
            .lock()
            .unwrap()
            .streams
            .push(Arc::downgrade(&stream));
        let shared = Arc::clone(shared);
        connections.push(thread::spawn(move || {
            let mut connection = Connection {
                shared: &shared,
                wire: Wire::Plain(Raw(Arc::clone(&stream))),
                raw: stream,
                decoder: FrameDecoder::new(),
                out: Vec::new(),
                is_hello_by_hand: script.is_hello_by_hand,
                has_read: false,
                quiet: None,
            };
            let fault = match connection
                .open()
                .and_then(|()| connection.follow(&script.steps))
            {
                Ok(()) | Err(End::Closed) => None,
                Err(End::Fault(fault)) => Some(fault),
            };
            // A client that closes in the middle of an orderly script is seen by those who expect something.
            if let Some(fault) = fault {
                let mut state = shared.state.lock().unwrap();
                state.faults.push(format!("connection {number}: {fault}"));
            }
        }));
    }
    for connection in connections {
        let _ = connection.join();
    }
}

/// Why a script does not go on.
enum End {
    /// The connection is closed, by the script or by the client.
    Closed,
    /// The client has not done what the script says.
    Fault(String),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Closed
    }
}

struct Connection<'a> {
    shared: &'a Shared,
    wire: Wire,
    raw: Arc<TcpStream>,
    decoder: FrameDecoder,
    /// What is sent before the next wait, in one piece.
    out: Vec<u8>,
    is_hello_by_hand: bool,
    has_read: bool,
    /// How long a read waits.
    quiet: Option<Duration>,
}

impl Connection<'_> {
    /// The handshake, where there is one.
    fn open(&mut self) -> Result<(), End> {
        let Some(config) = &self.shared.tls else {
            return Ok(());
        };
        let mut first = [0];
        if self.raw.peek(&mut first)? == 1 && first[0] != TLS_HANDSHAKE {
            return self.refuse(ErrorCode::TlsRequired, "this server takes only TLS");
        }
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        let raw = Raw(Arc::clone(&self.raw));
        let mut stream = StreamOwned::new(connection, raw);
        while stream.conn.is_handshaking() {
            if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
                // An alert may be on its way, and the other side must be able to read it.
                self.linger();
                return Err(error.into());
            }
        }
        self.wire = Wire::Tls(Box::new(stream));
        Ok(())
    }

    fn follow(&mut self, steps: &[Step]) -> Result<(), End> {
        let must_wait = |steps: &[Step]| {
            let must = |step: &Step| {
                matches!(
                    step,
                    Step::Expect {
                        may_be_missing: false,
                        ..
                    }
                )
            };
            steps.iter().any(must)
        };
        let waits = must_wait(steps);
        self.shared.state.lock().unwrap().waiting += usize::from(waits);
        let mut is_counted = waits;
        for (place, step) in steps.iter().enumerate() {
            let done = self.step(step);
            if is_counted && (done.is_err() || !must_wait(&steps[place + 1..])) {
                is_counted = false;
                self.shared.state.lock().unwrap().waiting -= 1;
                self.shared.changed.notify_all();
            }
            match done {
                Err(End::Fault(fault)) => {
                    return Err(End::Fault(format!("step {place}: {fault}")));
                }
                other => other?,
            }
        }
        // Kept, and read until the client closes it.
        while let Some(request) = self.request()? {
            drop(request);
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), End> {
        match step {
            Step::Expect {
                wanted,
                may_be_missing,
            } => match self.request()? {
                Some(request) => expect(wanted, &request),
                None if *may_be_missing => Err(End::Closed),
                None => {
                    let wanted = without_maybe(wanted);
                    Err(End::Fault(format!("{wanted} was expected, and never came")))
                }
            },
            Step::Send(bytes) => {
                self.out.extend(bytes);
                Ok(())
            }
            Step::Wait(time) => {
                self.flush()?;
                self.pause(*time)
            }
            Step::Close => {
                self.flush()?;
                self.close(false)
            }
            Step::Reset => {
                self.flush()?;
                self.close(true)
            }
            Step::HalfClose => {
                self.flush()?;
                self.wire.say_end();
                Ok(self.raw.shutdown(Shutdown::Write)?)
            }
            Step::Freeze => {
                self.flush()?;
                self.pause(Duration::MAX)
            }
            Step::Serve(serve) => self.serve(serve),
        }
    }

    /// The next request that is not answered by itself, or `None` at the end of the stream.
    fn request(&mut self) -> Result<Option<Message>, End> {
        match self.came(None)? {
            Came::Request(request) => Ok(Some(request)),
            Came::Nothing | Came::End => Ok(None),
        }
    }

    /// The next request that is not answered by itself, if anything comes within the time, where there is one.
    fn came(&mut self, quiet: Option<Duration>) -> Result<Came, End> {
        if quiet != self.quiet {
            self.raw.set_read_timeout(quiet)?;
            self.quiet = quiet;
        }
        loop {
            match self.decoder.next(Receiver::Server) {
                Ok(Some(Message::HelloRequest(hello))) if !self.is_hello_by_hand => {
                    self.greet(&hello)?;
                    continue;
                }
                Ok(Some(message)) => {
                    let count = match message {
                        Message::IdentityRequest { count, .. } => count,
                        _ => 0,
                    };
                    self.shared.state.lock().unwrap().requests.push(count);
                    self.shared.changed.notify_all();
                    return Ok(Came::Request(message));
                }
                Ok(None) => {}
                Err(error) => {
                    return Err(End::Fault(format!(
                        "the client sent bytes that are no request: {error}"
                    )));
                }
            }
            self.flush()?;
            let space = self.decoder.space();
            let count = match self.wire.read(space) {
                Ok(count) => count,
                Err(error) if quiet.is_some() && is_late(&error) => return Ok(Came::Nothing),
                // A reset, or the end of the scenario.
                Err(_) => return Ok(Came::End),
            };
            if count == 0 {
                return Ok(Came::End);
            }
            if !self.has_read && space[0] == TLS_HANDSHAKE && matches!(self.wire, Wire::Plain(_)) {
                let text = "this server does not speak TLS";
                self.refuse(ErrorCode::TlsNotOffered, text)?;
            }
            self.has_read = true;
            self.decoder.filled(count);
        }
    }

    /// Answers a helloRequest as a real server does.
    fn greet(&mut self, hello: &Hello) -> Result<(), End> {
        let face = &self.shared.face;
        if hello
            .cluster
            .as_ref()
            .is_some_and(|expected| *expected != face.cluster)
        {
            let text = format!("this server is of cluster {}", face.cluster);
            return self.refuse(ErrorCode::ForeignCluster, &text);
        }
        let reply = json!({
            "kind": "helloReply",
            "cluster": face.cluster.as_str(),
            "countMax": face.count_max,
            "pid": face.pid.get(),
            "standing": face.standing,
        });
        let reply = message::from_json(&reply).map_err(End::Fault)?;
        self.send(&reply);
        Ok(())
    }

    fn send(&mut self, message: &Message) {
        self.out.extend(bytes(message));
    }

    fn flush(&mut self) -> Result<(), End> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(());
        }
        let before = self.shared.sent.fetch_add(out.len(), Ordering::Relaxed);
        match self.shared.cut.and_then(|cut| cut.checked_sub(before)) {
            Some(at) if at > 0 && at < out.len() => {
                self.wire.write(&out[..at])?;
                thread::sleep(SPLIT_PAUSE);
                self.wire.write(&out[at..])?;
            }
            _ => self.wire.write(&out)?,
        }
        Ok(())
    }

    /// An errorReply that closes, as a real server sends it: without TLS where there is none yet.
    fn refuse(&mut self, code: ErrorCode, text: &str) -> Result<(), End> {
        self.send(&error(code.get(), text));
        self.half_close_and_read()
    }

    fn half_close_and_read(&mut self) -> Result<(), End> {
        self.flush()?;
        self.wire.say_end();
        self.linger();
        Err(End::Closed)
    }

    /// Closes the sending side, and waits until the other side has closed too.
    fn linger(&self) {
        let _ = self.raw.shutdown(Shutdown::Write);
        let mut buffer = [0; 4096];
        while let Ok(1..) = (&*self.raw).read(&mut buffer) {}
    }

    fn close(&mut self, is_reset: bool) -> Result<(), End> {
        if is_reset {
            SockRef::from(&*self.raw).set_linger(Some(Duration::ZERO))?;
        } else {
            self.wire.say_end();
            // What has come is read, because otherwise the kernel would make a reset of it.
            self.raw.set_nonblocking(true)?;
            let mut buffer = [0; 4096];
            while let Ok(1..) = (&*self.raw).read(&mut buffer) {}
        }
        Err(End::Closed)
    }

    /// Waits for this time, or until the end of the scenario.
    fn pause(&self, time: Duration) -> Result<(), End> {
        let state = self.shared.state.lock().unwrap();
        let goes_on = |state: &mut State| !state.stopping;
        let state = match time {
            Duration::MAX => self.shared.changed.wait_while(state, goes_on).unwrap(),
            time => {
                self.shared
                    .changed
                    .wait_timeout_while(state, time, goes_on)
                    .unwrap()
                    .0
            }
        };
        match state.stopping {
            true => Err(End::Closed),
            false => Ok(()),
        }
    }
}

/// What has come on a connection.
enum Came {
    Request(Message),
    /// Nothing, within the time.
    Nothing,
    End,
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn error(code: u16, text: &str) -> Message {
    let message = text.to_owned();
    Message::ErrorReply(Box::new(ErrorReply { code, message }))
}

/// Whether the request is what is expected.
fn expect(wanted: &Value, request: &Message) -> Result<(), End> {
    let is = to_json(request).unwrap_or_else(|| json!({"kind": request.name()}));
    let wanted = without_maybe(wanted);
    match matches(&wanted, &is) {
        true => Ok(()),
        false => Err(End::Fault(format!("{wanted} was expected, and {is} came"))),
    }
}

fn without_maybe(wanted: &Value) -> Value {
    let mut wanted = wanted.as_object().cloned().unwrap_or_default();
    wanted.remove("maybe");
    let kind = wanted.remove("expect").unwrap_or_default();
    wanted.insert("kind".to_owned(), kind);
    Value::Object(wanted)
}

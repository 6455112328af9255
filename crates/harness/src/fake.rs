//! A server made of threads: it answers like Ipseity, or follows a script.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Barrier, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

use ipseity_core::{
    identity::{IDENTITY_STRIDE, Pid, Sequence},
    words::{
        BoundsStatus, ClusterName, Counters, ErrorCode, ErrorReply, Forget, Introduction, Member,
        Members, Message, SpinStatus, Standing, Status, StorageStatus, TlsStatus, VitalsStatus,
        WIRE_VERSION,
    },
};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// So few members fit into one reply that a list of three takes two requests.
const MEMBERS_PER_REPLY: usize = 2;

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Step {
    /// It is answered as a server would.
    Serve,
    /// It is answered with this message.
    Reply(Message),
    /// It is answered with these bytes.
    Bytes(Vec<u8>),
    /// It is answered with these bytes, and the connection is closed.
    Last(Vec<u8>),
    /// It gets no answer, and the connection stays open.
    Silence,
    /// It is answered, and the connection is closed.
    ServeAndClose,
    /// It is answered after this time.
    ServeAfter(Duration),
    /// It is answered when as many have been asked as this barrier waits for. So those who ask one after the other never
    /// get an answer.
    ServeTogether(Arc<Barrier>),
}

impl Step {
    /// An errorReply, and then what its code means for the connection.
    pub fn error(code: ErrorCode, text: &str) -> Step {
        let reply = Message::ErrorReply(Box::new(ErrorReply::new(code, text)));
        let mut bytes = Vec::new();
        encode(&reply, &mut bytes);
        if code.closes() {
            Step::Last(bytes)
        } else {
            Step::Bytes(bytes)
        }
    }
}

/// A server on a port of its own of 127.0.0.1. It ends when it is dropped.
pub struct Fake {
    shared: Arc<Mutex<Shared>>,
    port: u16,
    is_tls: bool,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    pid: Pid,
    sequence: u64,
    count_max: u32,
    standing: Standing,
    members: Vec<Member>,
    script: VecDeque<Step>,
    requests: Vec<Message>,
    streams: Vec<TcpStream>,
    stopping: bool,
}

impl Fake {
    /// A server that answers every request as a real server with this pid would.
    pub fn serving(pid: u16) -> Fake {
        Fake::scripted(pid, [])
    }

    /// A server that does one step of `script` for each request, over all connections, and after the script serves.
    pub fn scripted(pid: u16, script: impl IntoIterator<Item = Step>) -> Fake {
        Fake::over(None, pid, script)
    }

    /// The same by TLS.
    pub fn tls(
        config: Arc<ServerConfig>,
        pid: u16,
        script: impl IntoIterator<Item = Step>,
    ) -> Fake {
        Fake::over(Some(config), pid, script)
    }

    fn over(
        tls: Option<Arc<ServerConfig>>,
        pid: u16,
        script: impl IntoIterator<Item = Step>,
    ) -> Fake {
        let is_tls = tls.is_some();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared {
            pid: Pid::new(pid).unwrap(),
            sequence: 0,
            count_max: 65536,
            standing: Standing::Serving,
            members: Vec::new(),
            script: script.into_iter().collect(),
            requests: Vec::new(),
            streams: Vec::new(),
            stopping: false,
        }));
        let acceptor = std::thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, tls.as_ref(), &shared)
        });
        Fake {
            shared,
            port,
            is_tls,
            acceptor: Some(acceptor),
        }
    }

    /// `127.0.0.1:PORT`, behind `tls://` if it speaks TLS.
    pub fn address(&self) -> String {
        match self.is_tls {
            true => format!("tls://{}", self.place()),
            false => self.place(),
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Every request that arrived so far, in order.
    pub fn requests(&self) -> Vec<Message> {
        lock(&self.shared).requests.clone()
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        lock(&self.shared).streams.len()
    }

    /// Sets the highest sequence handed out.
    pub fn set_sequence(&self, sequence: u64) {
        lock(&self.shared).sequence = sequence;
    }

    /// Sets how many identities one request may ask for.
    pub fn set_count_max(&self, count_max: u32) {
        lock(&self.shared).count_max = count_max;
    }

    /// Sets the standing in its status. It goes on serving.
    pub fn set_standing(&self, standing: Standing) {
        lock(&self.shared).standing = standing;
    }

    /// Makes it know servers with these pids, in ascending order. The first was heard and gets an objection, the
    /// others are only remembered.
    pub fn set_members(&self, pids: impl IntoIterator<Item = u16>) {
        let members = pids.into_iter().enumerate().map(|(index, pid)| Member {
            pid: Pid::new(pid).unwrap(),
            incarnation: 0xabc00 + u128::from(pid),
            boot: 3,
            session: u64::from(pid),
            sequence: 1000 + u64::from(pid),
            address: match index {
                0 => "10.0.0.2:3264".into(),
                _ => Arc::default(),
            },
            last_heard_ms: (index == 0).then_some(250),
            objection: match index {
                0 => ErrorCode::StaleState.get(),
                _ => 0,
            },
        });
        lock(&self.shared).members = members.collect();
    }

    /// Makes it know these pids, each at its address.
    pub fn set_members_at(&self, members: &[(u16, &str)]) {
        self.set_members(members.iter().map(|(pid, _)| *pid));
        for (member, (_, address)) in lock(&self.shared).members.iter_mut().zip(members) {
            member.address = (*address).into();
        }
    }

    /// Adds steps for the requests to come.
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        lock(&self.shared).script.extend(steps);
    }

    /// Until what it returns is dropped, nothing is accepted or answered. Only the kernel takes connections meanwhile.
    #[must_use]
    pub fn pause(&self) -> impl Sized + '_ {
        lock(&self.shared)
    }

    /// Closes every present connection.
    pub fn hang_up(&self) {
        for stream in &lock(&self.shared).streams {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        lock(&self.shared).stopping = true;
        self.hang_up();
        // Wakes the acceptor, which then sees that it has to stop.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, shared: &Arc<Mutex<Shared>>) {
    for stream in listener.incoming() {
        let mut state = lock(shared);
        if state.stopping {
            return;
        }
        let Ok(stream) = stream else { continue };
        state.streams.push(stream.try_clone().unwrap());
        let (shared, tls) = (shared.clone(), tls.cloned());
        std::thread::spawn(move || match tls {
            None => {
                let mut stream = stream;
                if converse(&mut stream, &shared) {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
            Some(config) => {
                let connection = ServerConnection::new(config).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                if converse(&mut stream, &shared) {
                    stream.conn.send_close_notify();
                    let _ = stream.conn.write_tls(&mut stream.sock);
                }
                // If the handshake failed, the client waits for this.
                let _ = stream.sock.shutdown(Shutdown::Both);
            }
        });
    }
}

/// Answers until the client goes, or a step closes the connection. Returns whether a step did.
fn converse(stream: &mut (impl Read + Write), shared: &Mutex<Shared>) -> bool {
    let mut decoder = FrameDecoder::new();
    loop {
        while let Ok(Some(request)) = decoder.next(Receiver::Server) {
            let (answer, close, wait) = lock(shared).step(request);
            match wait {
                Wait::Not => {}
                Wait::For(time) => std::thread::sleep(time),
                Wait::Together(barrier) => {
                    barrier.wait();
                }
            }
            if stream.write_all(&answer).is_err() || close {
                return true;
            }
        }
        match stream.read(decoder.space()) {
            Ok(0) | Err(_) => return false,
            Ok(bytes) => decoder.filled(bytes),
        }
    }
}

/// What an answer waits for.
enum Wait {
    Not,
    For(Duration),
    Together(Arc<Barrier>),
}

impl Shared {
    /// The bytes that answer `request`, whether the connection is closed then, and what they wait for.
    fn step(&mut self, request: Message) -> (Vec<u8>, bool, Wait) {
        let step = self.script.pop_front().unwrap_or(Step::Serve);
        let answer = match step {
            Step::Serve => (encoded(&self.serve(&request)), false, Wait::Not),
            Step::ServeAndClose => (encoded(&self.serve(&request)), true, Wait::Not),
            Step::ServeAfter(time) => (encoded(&self.serve(&request)), false, Wait::For(time)),
            Step::ServeTogether(all) => {
                let answer = encoded(&self.serve(&request));
                (answer, false, Wait::Together(all))
            }
            Step::Reply(message) => (encoded(&message), false, Wait::Not),
            Step::Bytes(bytes) => (bytes, false, Wait::Not),
            Step::Last(bytes) => (bytes, true, Wait::Not),
            Step::Silence => (Vec::new(), false, Wait::Not),
        };
        self.requests.push(request);
        answer
    }

    fn serve(&mut self, request: &Message) -> Message {
        match *request {
            Message::HelloRequest(ref hello) => {
                let own = ClusterName::default();
                match &hello.cluster {
                    Some(expected) if *expected != own => {
                        let text = format!("this server is of cluster {own}");
                        let code = ErrorCode::ForeignCluster;
                        Message::ErrorReply(Box::new(ErrorReply::new(code, text)))
                    }
                    _ => Message::HelloReply(Box::new(Introduction {
                        cluster: own,
                        version: "0.1.0".to_owned(),
                        wire_version: WIRE_VERSION,
                        count_max: self.count_max,
                        pid: self.pid,
                        standing: self.standing,
                    })),
                }
            }
            Message::IdentityRequest { count, .. } if count == 0 || count > self.count_max => {
                let text = format!("count {count} is not 1 to {}", self.count_max);
                Message::ErrorReply(Box::new(ErrorReply::new(ErrorCode::BadCount, text)))
            }
            Message::IdentityRequest { count, after } => {
                let first = self.sequence.max(after / IDENTITY_STRIDE) + 1;
                self.sequence = first + u64::from(count) - 1;
                Message::IdentityReply {
                    first: first * IDENTITY_STRIDE + u64::from(self.pid.get()),
                    count,
                }
            }
            Message::MembersRequest { from } => {
                let known = self.members.iter().filter(|member| member.pid >= from);
                Message::MembersReply(Box::new(Members {
                    total: known.clone().count() as u32,
                    members: known.take(MEMBERS_PER_REPLY).cloned().collect(),
                }))
            }
            Message::ForgetRequest {
                what: Forget::NeverServed(_) | Forget::AllNeverServed,
            } => Message::DoneReply { sequence: 7 },
            Message::ForgetRequest {
                what: Forget::All(pid),
            } => {
                let known = self.members.iter().position(|member| member.pid == pid);
                match known.map(|index| self.members.remove(index)) {
                    Some(Member { sequence, .. }) => Message::DoneReply { sequence },
                    None => {
                        let text = format!("nothing is known here of pid {pid}");
                        Message::ErrorReply(Box::new(ErrorReply::new(ErrorCode::UnknownPid, text)))
                    }
                }
            }
            Message::AdvanceRequest { above } => {
                self.sequence = self.sequence.max(above);
                Message::DoneReply {
                    sequence: self.sequence,
                }
            }
            _ => Message::StatusReply(Box::new(self.status())),
        }
    }

    fn status(&self) -> Status {
        assert!(Sequence::new(self.sequence).is_some());
        Status {
            version: "0.1.0".to_owned(),
            cluster: Default::default(),
            pid: self.pid,
            incarnation: u128::MAX - 1,
            boot: 3,
            session: 0xfedc,
            standing: self.standing,
            sequence: self.sequence,
            uptime_ms: 61_000,
            connections: self.streams.len() as u32,
            connections_max: 1000,
            counters: Counters {
                identities: self.sequence,
                ..Counters::default()
            },
            storage: StorageStatus::default(),
            peers_total: 0,
            peers: Vec::new(),
            bounds: BoundsStatus {
                advance_max: 1 << 40,
                ..BoundsStatus::default()
            },
            tls: TlsStatus::default(),
            vitals: VitalsStatus::default(),
            join: None,
            objection: None,
            store: Default::default(),
            spin: SpinStatus::default(),
        }
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

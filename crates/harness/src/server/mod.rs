//! A real `ipseity` process for a test. It is started on a free port of 127.0.0.1 with its own state directory,
//! waited for, and killed when the test ends, however it ends.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use ipseity_core::words::{Message, Status};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use tempfile::TempDir;

pub use crate::port::Port;
use crate::programs;

/// The listen flags of a server that may have any port.
const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// How long a test waits for something that must come. It is long because machines are shared. A test that passes
/// never waits this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A stop makes two or three writes in as many seconds. If it does not finish, one of them took at least this long.
const SLOW_WRITE: Duration = Duration::from_millis(500);

/// The text that a process has written to standard error so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    http: Option<SocketAddr>,
    log: Arc<Log>,
    arguments: Vec<String>,
    directory: Option<Arc<TempDir>>,
    port: Option<Port>,
}

/// The end of a server that never listened.
#[derive(Debug)]
pub struct Refusal {
    /// Everything that it wrote to standard error.
    pub log: String,
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
}

impl Server {
    /// Starts a server with its own state directory, and these flags in addition to `--listen` and `--data-dir`.
    pub fn start(flags: &[&str]) -> Server {
        Server::start_on(Port::reserve(), flags)
    }

    /// The same on a port that was reserved before.
    pub fn start_on(port: Port, flags: &[&str]) -> Server {
        let directory = Arc::new(TempDir::new().unwrap());
        let path = directory.path().join("state");
        let mut all = vec!["--data-dir", path.to_str().unwrap()];
        all.extend(flags);
        let listen = port.address().to_string();
        let mut server = Server::start_with(&["--listen", &listen], &all);
        server.directory = Some(directory);
        server.port = Some(port);
        server
    }

    /// Starts `count` servers with the pids 1, 2, ... that name each other, with these additional flags.
    pub fn cluster(count: u16, flags: &[&str]) -> Vec<Server> {
        let ports: Vec<Port> = (0..count).map(|_| Port::reserve()).collect();
        let names: Vec<String> = ports
            .iter()
            .map(|port| port.address().to_string())
            .collect();
        let start = |(index, port): (usize, Port)| {
            let pid = (index + 1).to_string();
            let mut all = vec!["--pid", &pid];
            for (other, name) in names.iter().enumerate() {
                if other != index {
                    all.extend(["--peer", name]);
                }
            }
            all.extend(flags);
            Server::start_on(port, &all)
        };
        ports.into_iter().enumerate().map(start).collect()
    }

    /// Starts a server with exactly these flags.
    pub fn start_with(listen: &[&str], flags: &[&str]) -> Server {
        Server::try_start(listen, flags).unwrap_or_else(|log| panic!("it did not start:\n{log}"))
    }

    /// The same, or returns what it wrote before it exited.
    pub fn try_start(listen: &[&str], flags: &[&str]) -> Result<Server, String> {
        Server::start_under(&[], listen, flags).map_err(|refusal| refusal.log)
    }

    /// Starts a server on a free port that may have at most this many file descriptors.
    pub fn start_with_descriptors(limit: usize, flags: &[&str]) -> Server {
        let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
        let runner = ["sh".to_owned(), "-c".to_owned(), script];
        Server::start_under(&runner, &ANY_PORT, flags)
            .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log))
    }

    /// The same, with a `runner` that prepares its process and then becomes the server: a program and its arguments. A
    /// restart does not use it.
    pub fn start_under(
        runner: &[String],
        listen: &[&str],
        flags: &[&str],
    ) -> Result<Server, Refusal> {
        if listen != ANY_PORT {
            return Server::start_at(runner, listen, flags);
        }
        // So it is there for a restart, and nobody else gets it while others may still dial it.
        let port = Port::reserve();
        let listen = port.address().to_string();
        let mut server = Server::start_at(runner, &["--listen", &listen], flags)?;
        server.port = Some(port);
        Ok(server)
    }

    fn start_at(runner: &[String], listen: &[&str], flags: &[&str]) -> Result<Server, Refusal> {
        let arguments: Vec<String> = listen
            .iter()
            .chain(flags)
            .map(|&flag| flag.to_owned())
            .collect();
        let line = command_line(runner);
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        follow(child.stderr.take().unwrap(), Arc::clone(&log));
        match log.wait_for(|line| line.contains(" listens on ")) {
            Some(line) => Ok(Server {
                child,
                address: address_behind(&line, " listens on ").unwrap(),
                http: address_behind(&line, " and for HTTP on "),
                log,
                arguments: flags_without_listen(&arguments),
                directory: None,
                port: None,
            }),
            None => {
                let ended = eventually(|| child.try_wait().unwrap().is_some());
                let _ = child.kill();
                let status = child.wait().unwrap();
                Err(Refusal {
                    log: log.text(),
                    code: ended.then(|| status.code()).flatten(),
                })
            }
        }
    }

    /// Starts it again after it has ended, on the same address and the same state.
    pub fn restart(&mut self) {
        self.restart_under(&[]);
    }

    /// The same, with more flags.
    pub fn restart_adding(&mut self, flags: &[&str]) {
        self.arguments
            .extend(flags.iter().map(|flag| (*flag).to_owned()));
        self.restart();
    }

    /// The same, with a `runner`.
    pub fn restart_under(&mut self, runner: &[String]) {
        let flags: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let listen = self.address.to_string();
        let mut next = Server::start_under(runner, &["--listen", &listen], &flags)
            .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log));
        next.directory = self.directory.take();
        next.port = self.port.take();
        *self = next;
    }

    /// After it has ended: starts it, and kills it so soon that it may still be starting.
    pub fn start_in_vain(&self, lives_for: Duration) {
        self.start_in_vain_under(&[], lives_for);
    }

    /// The same, with a `runner`.
    pub fn start_in_vain_under(&self, runner: &[String], lives_for: Duration) {
        let line = command_line(runner);
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .args(["--listen", &self.address()])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(lives_for);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again with another value for a flag that it has.
    pub fn restart_with(&mut self, flag: &str, value: &str) {
        let position = self.arguments.iter().position(|word| word == flag);
        self.arguments[position.unwrap() + 1] = value.to_owned();
        self.restart();
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens.
    pub fn socket_address(&self) -> SocketAddr {
        self.address
    }

    /// Where it speaks HTTP, if it was started with `--http`.
    pub fn http_address(&self) -> SocketAddr {
        self.http.expect("it was started without --http")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The state directory, of a server that was made by [`Server::start`].
    pub fn data_dir(&self) -> PathBuf {
        let position = self
            .arguments
            .iter()
            .position(|flag| flag == "--data-dir")
            .unwrap();
        PathBuf::from(&self.arguments[position + 1])
    }

    /// A directory for files of the test, beside the state directory.
    pub fn scratch(&self) -> &Path {
        self.directory.as_ref().unwrap().path()
    }

    /// Everything that it has written to standard error.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a log line that contains `what`, which may have come already, and returns it.
    pub fn wait_for_log(&self, what: &str) -> String {
        self.log
            .wait_for(|line| line.contains(what))
            .unwrap_or_else(|| panic!("no log line contains {what:?}:\n{}", self.log()))
    }

    /// How many log lines contain `what` so far.
    pub fn count_log(&self, what: &str) -> usize {
        let lines = self.log.lines.lock().unwrap();
        lines.0.iter().filter(|line| line.contains(what)).count()
    }

    /// Waits for this many log lines that contain `what`, and fails if there are more.
    pub fn wait_for_logs(&self, what: &str, count: usize) {
        eventually(|| self.count_log(what) >= count);
        let log = self.log();
        assert_eq!(
            self.count_log(what),
            count,
            "lines that contain {what:?}:\n{log}"
        );
    }

    /// Waits until its status fits.
    pub fn wait_for_status(&self, what: &str, fits: impl Fn(&Status) -> bool) -> Status {
        let mut last = None;
        let found = eventually(|| {
            let status = self.status();
            let good = fits(&status);
            last = Some(status);
            good
        });
        let status = last.unwrap();
        assert!(found, "{what} never came: {status:#?}\n{}", self.log());
        status
    }

    /// A connection to it.
    pub fn connect(&self) -> Connection {
        match TcpStream::connect(self.address) {
            Ok(stream) => Connection::new(stream),
            Err(error) => {
                // If it is refused, the server is about to end, and its log says why.
                self.log.wait_for_end();
                panic!("{error}: {}\n{}", self.address, self.log())
            }
        }
    }

    /// Its status.
    pub fn status(&self) -> Status {
        let mut connection = self.connect();
        connection.send(&Message::StatusRequest);
        match connection.receive() {
            Message::StatusReply(status) => *status,
            other => panic!("asked for the status: {other:?}"),
        }
    }

    /// Asks for `count` identities, and returns the reply.
    pub fn ask(&self, count: u32, after: u64) -> Message {
        let mut connection = self.connect();
        connection.send(&Message::IdentityRequest { count, after });
        connection.receive()
    }

    /// Sends a signal: `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for it to end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "it does not end:\n{}", self.log());
        self.log.wait_for_end();
        status.unwrap()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Stops it as an operator would, and returns the exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal("TERM");
        let code = self.wait().code().unwrap();
        // Shown when the test fails.
        println!("stopped with exit code {code}:\n{}", self.log());
        code
    }

    /// The same if others may keep the disk busy. Returns whether the stop was clean. If it was not, the server must
    /// blame the disk, with writes so slow that a few of them take longer than a stop may.
    pub fn stop_unless_disk_is_slow(&mut self) -> bool {
        let code = self.stop();
        match self.slowest_write_of_stop() {
            Some(slowest) => assert!(code == 1 && slowest >= SLOW_WRITE, "{}", self.log()),
            None => assert_eq!(code, 0, "{}", self.log()),
        }
        code == 0
    }

    /// If the server gave its disk up: how long its slowest write took according to its log, finished or not.
    pub fn slowest_write_of_stop(&self) -> Option<Duration> {
        let log = self.log();
        let line = log
            .lines()
            .find(|line| line.contains("the disk takes too long"))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let waits = words.windows(2).filter(|pair| pair[1].starts_with("ms"));
        let slowest = waits.map(|pair| pair[0].parse().unwrap()).max();
        Some(Duration::from_millis(slowest.unwrap()))
    }

    /// Kills it as a power failure would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.wait_for_end();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server without its flags, and what comes before it.
fn command_line(runner: &[String]) -> Vec<String> {
    let mut line = runner.to_vec();
    line.push(programs::ipseity().display().to_string());
    line
}

/// The address behind these words of the line that says where it listens. If there are several, the first one counts.
fn address_behind(line: &str, words: &str) -> Option<SocketAddr> {
    let (_, addresses) = line.split_once(words)?;
    let address = addresses.split(' ').next()?;
    Some(address.trim_end_matches(':').parse().unwrap())
}

fn flags_without_listen(arguments: &[String]) -> Vec<String> {
    let mut rest = arguments.iter();
    let mut flags = Vec::new();
    while let Some(flag) = rest.next() {
        if flag == "--listen" {
            rest.next();
        } else {
            flags.push(flag.clone());
        }
    }
    flags
}

/// Collects lines until the process closes its standard error.
fn follow(out: impl Read + Send + 'static, log: Arc<Log>) {
    thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            let Ok(line) = line else { break };
            log.lines.lock().unwrap().0.push(line);
            log.more.notify_all();
        }
        log.lines.lock().unwrap().1 = true;
        log.more.notify_all();
    });
}

impl Log {
    fn text(&self) -> String {
        self.lines.lock().unwrap().0.join("\n")
    }

    /// Waits until everything that an ended process wrote is here.
    fn wait_for_end(&self) {
        self.wait_for(|_| false);
    }

    /// The first line that fits. `None` if the process has ended without one, or if it takes longer than [`PATIENCE`].
    fn wait_for(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().find(|line| fits(line)) {
                return Some(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return None;
            }
            lines = self.more.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// Checks a condition again and again until it is true, for at most [`PATIENCE`]. Returns whether it was true.
pub fn eventually(mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        if is_true() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// One read, repeated if it is interrupted. A debugger that detaches from another process can interrupt a socket with
/// a timeout, and tests that use a debugger run at the same time as others of the same binary.
pub fn read_some(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A connection that sends and receives messages.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    decoder: FrameDecoder,
    receiver: Receiver,
}

impl Connection {
    /// A client's connection to a server.
    pub fn new(stream: TcpStream) -> Connection {
        Connection::speaking(stream, Receiver::Client)
    }

    /// The connection of a peer that has dialed a server.
    pub fn dialing(stream: TcpStream) -> Connection {
        Connection::speaking(stream, Receiver::Dialer)
    }

    /// The connection of a fake server, with a client or a peer at the other end of `stream`.
    pub fn serving(stream: TcpStream) -> Connection {
        Connection::speaking(stream, Receiver::Server)
    }

    fn speaking(stream: TcpStream, receiver: Receiver) -> Connection {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            stream,
            decoder: FrameDecoder::new(),
            receiver,
        }
    }

    /// The socket itself.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends one message.
    pub fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    /// Receives one message. Panics when the connection ends before it.
    pub fn receive(&mut self) -> Message {
        self.try_receive()
            .expect("the connection ended before the reply")
    }

    /// Receives one message, or `None` at the end of the connection.
    pub fn try_receive(&mut self) -> Option<Message> {
        self.try_receive_as(self.receiver)
    }

    /// The same, as a peer or as a client.
    pub fn try_receive_as(&mut self, receiver: Receiver) -> Option<Message> {
        self.read_message(receiver)
            .unwrap_or_else(|error| match error.kind() {
                io::ErrorKind::ConnectionReset => None,
                _ => panic!("reading: {error}"),
            })
    }

    /// Receives one message, or `None` when the connection ends or breaks, or when its read timeout passes.
    pub fn receive_or_give_up(&mut self) -> Option<Message> {
        self.read_message(self.receiver).ok().flatten()
    }

    fn read_message(&mut self, receiver: Receiver) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.decoder.next(receiver).unwrap() {
                return Ok(Some(message));
            }
            match read_some(&mut self.stream, self.decoder.space())? {
                0 => return Ok(None),
                bytes => self.decoder.filled(bytes),
            }
        }
    }
}

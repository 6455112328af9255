//! How fast honest clients are served beside bursts of the requests that cost a server the most.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ipseity_core::{
    identity::Pid,
    words::{Message, SyncMessage},
};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_harness::measured::{self, PATIENCE};
use ipseity_sim::config::peer_says;
use rustix::{
    net::{RecvFlags, recv},
    thread::{CpuSet, gettid, sched_setaffinity},
};

use crate::{
    load::{Load, Place},
    sample::{Plan, Sample, Samples, grouped, measure, ratio},
    subject::{Running, Subject},
};

/// How many requests each connection of the crowd sends in a burst: with a thousand connections, nine thousand.
const REQUESTS: usize = 9;

/// How many connections a burst opens, if it consists of connections.
const STORM: usize = 500;

/// How many pids the crowd claims. Each of them is in the list of members.
const PIDS: usize = 1000;

/// The time between two bursts.
const PAUSE: Duration = Duration::from_millis(20);

/// A kind of burst.
struct Kind {
    name: &'static str,
    parts: &'static [Part],
}

#[derive(Clone, Copy)]
enum Part {
    Members,
    Status,
    Blocks,
    Ordinary,
    Malformed,
    Connections,
}

use Part::{Blocks, Connections, Malformed, Members, Ordinary, Status};

const KINDS: [Kind; 7] = [
    Kind {
        name: "9,000 requests for one identity",
        parts: &[Ordinary],
    },
    Kind {
        name: "9,000 requests for 1,000 identities",
        parts: &[Blocks],
    },
    Kind {
        name: "9,000 requests for the members",
        parts: &[Members],
    },
    Kind {
        name: "9,000 requests for the status",
        parts: &[Status],
    },
    Kind {
        name: "500 malformed frames, each on a new connection",
        parts: &[Malformed],
    },
    Kind {
        name: "500 connections that come and go",
        parts: &[Connections],
    },
    Kind {
        name: "one burst of each kind after the other",
        parts: &[Ordinary, Members, Malformed, Blocks, Status, Connections],
    },
];

/// How often the clients' processor runs the crowd.
#[derive(Clone, Copy)]
pub enum Priority {
    /// Only while the honest clients do not run.
    Idle,
    /// With the lowest ordinary priority. It then also runs when honest clients are ready, and may do so to the end of
    /// its time slice.
    Nice,
}

/// Measures the honest clients alone, and beside each kind of burst.
pub fn bursts(plan: &Plan) {
    let crowd_size = plan.idle_connections.min(PIDS);
    println!("### Beside bursts of heavy requests\n");
    println!(
        "50 x 1, the server on one CPU and all clients on another; {} rounds. {crowd_size} more connections, each of \
         them a peer with a pid of its own, send {REQUESTS} requests each at once, wait for the answers, pause for \
         {} ms, and begin again. They are operators, so the answers are as large as they can be. They run \
         only while the honest clients do not, and throw the answers away without reading them, because all clients \
         share one processor. \
         The first burst is of ordinary requests: what it costs is the price of sharing.\n",
        plan.rounds,
        PAUSE.as_millis()
    );
    println!("| beside | bursts | p50, µs | p99, µs | p99.9, µs | p99 beside / quiet | goal |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let server = Subject::Ipseity.start(Place::TwoCpus);
    let mut crowd = Crowd::connect(server.address(), crowd_size);
    let p99 = |sample: &Sample| sample.p99_us;
    let times = |samples: &Samples| {
        let p50 = samples.show(|sample| sample.p50_us, 0);
        let p99_9 = samples.show(|sample| sample.p99_9_us, 0);
        format!("{p50} | {} | {p99_9}", samples.show(p99, 0))
    };
    let (mut quiet, mut beside);
    (quiet, beside, crowd) = series(plan, &server, crowd, Priority::Idle);
    println!("| nothing | | {} | | |", times(&quiet));
    for (kind, (samples, bursts)) in KINDS.iter().zip(&beside) {
        let bursts = grouped(*bursts as f64, 0);
        let ratio = ratio(samples, &quiet, p99);
        let times = times(samples);
        println!("| {} | {bursts} | {times} | {ratio:.2} | 3 |", kind.name);
    }
    println!();
    println!(
        "The same with bursts that run with the lowest ordinary priority (nice 19). They also run while honest clients \
         are ready, and then those wait for the processor too.\n"
    );
    println!("| beside | bursts | p99, µs | p99 beside / quiet | goal |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    (quiet, beside, _) = series(plan, &server, crowd, Priority::Nice);
    println!("| nothing | | {} | | |", quiet.show(p99, 0));
    for (kind, (samples, bursts)) in KINDS.iter().zip(&beside) {
        let bursts = grouped(*bursts as f64, 0);
        let ratio = ratio(samples, &quiet, p99);
        let p99 = samples.show(p99, 0);
        println!("| {} | {bursts} | {p99} | {ratio:.2} | 3 |", kind.name);
    }
    println!();
}

/// Samples beside each kind of burst, and how many bursts there were.
type Beside = Vec<(Samples, u64)>;

/// Measures the server alone and beside each kind of burst that the crowd makes. Gives the crowd back.
fn series(
    plan: &Plan,
    server: &Running,
    mut crowd: Crowd,
    priority: Priority,
) -> (Samples, Beside, Crowd) {
    let mut quiet = Samples::default();
    let mut beside: Beside = KINDS.iter().map(|_| Default::default()).collect();
    let load = Load::new(50, 1);
    let sample = || measure(server, load, Place::TwoCpus, plan.sample, plan.warmup);
    for _ in 0..plan.rounds {
        quiet.0.push(sample());
        for (kind, (samples, bursts)) in KINDS.iter().zip(&mut beside) {
            let trouble = Bursts::begin(crowd, kind.parts, priority);
            samples.0.push(sample());
            let done;
            (crowd, done) = trouble.end();
            *bursts += done;
        }
    }
    (quiet, beside, crowd)
}

/// Connections that wait for the next burst.
struct Crowd {
    server: SocketAddr,
    streams: Vec<TcpStream>,
}

impl Crowd {
    /// Makes this many connections. Each is a peer with its own pid, so the lists of the server are long.
    fn connect(server: SocketAddr, size: usize) -> Crowd {
        let streams = (0..size).map(|number| peer(server, number)).collect();
        Crowd { server, streams }
    }

    fn burst(&mut self, part: Part) {
        match part {
            Members => {
                let from = Pid::MIN;
                self.ask(&Message::MembersRequest { from });
            }
            Status => self.ask(&Message::StatusRequest),
            Blocks => self.ask(&Message::IdentityRequest {
                count: 1000,
                after: 0,
            }),
            Ordinary => self.ask(&Message::IdentityRequest { count: 1, after: 0 }),
            // A frame without a kind.
            Malformed => self.storm(&[0, 0]),
            Connections => self.storm(&[]),
        }
    }

    /// Sends the request on all connections, and waits until all of them are answered.
    fn ask(&mut self, request: &Message) {
        let requests = encoded(request).repeat(REQUESTS);
        for (number, stream) in self.streams.iter_mut().enumerate() {
            if stream.write(&requests).is_err() {
                // The server has cut it off, because too much waited for all of them. It comes again.
                *stream = peer(self.server, number);
                stream.write_all(&requests).unwrap();
            }
        }
        let mut silent_rounds = 0;
        while silent_rounds < 5 {
            let read = self.streams.iter().map(throw_away).sum::<usize>();
            silent_rounds = if read == 0 { silent_rounds + 1 } else { 0 };
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Opens many connections and sends these bytes on each of them. It closes all when every connection that is owed
    /// an answer has it. If the machine has too few ports left, there are fewer connections.
    fn storm(&self, bytes: &[u8]) {
        let connect = |_| {
            let mut stream = TcpStream::connect(self.server).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            stream.write_all(bytes).ok()?;
            Some(stream)
        };
        let streams: Vec<TcpStream> = (0..STORM).map_while(connect).collect();
        if !bytes.is_empty() {
            for mut stream in &streams {
                // It does not matter how the connection ends.
                let _ = stream.read(&mut [0; 256]);
            }
        }
    }
}

/// A connection on which a peer with this number has said who it is.
fn peer(server: SocketAddr, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    let message = Message::SyncRequest(Box::new(SyncMessage {
        incarnation: number as u128,
        session: number as u64,
        ..peer_says(Pid::new(2 + number as u16).unwrap())
    }));
    stream.write_all(&encoded(&message)).unwrap();
    let mut decoder = FrameDecoder::new();
    while decoder.next(Receiver::Dialer).unwrap().is_none() {
        let bytes = stream.read(decoder.space()).unwrap();
        assert!(bytes > 0, "the server takes every peer");
        decoder.filled(bytes);
    }
    stream.set_nonblocking(true).unwrap();
    stream
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

/// Throws away what has arrived, without copying it from the kernel. Returns how many bytes there were.
fn throw_away(stream: &TcpStream) -> usize {
    let mut buffer = [0; 64 * 1024];
    let mut thrown = 0;
    while let Ok((_, bytes @ 1..)) = recv(stream, &mut buffer[..], RecvFlags::TRUNC) {
        thrown += bytes;
    }
    thrown
}

/// From now on this thread runs on the clients' CPU. If the priority is not allowed here, the numbers are worse.
pub fn share_the_clients_cpu(priority: Priority) {
    let cpus = measured::cpus();
    let mut set = CpuSet::new();
    set.set(cpus[1.min(cpus.len() - 1)].parse().unwrap());
    let _ = sched_setaffinity(None, &set);
    let thread = gettid().as_raw_nonzero().to_string();
    match priority {
        Priority::Idle => measured::succeeds(&["chrt", "--idle", "--pid", "0", &thread]),
        Priority::Nice => measured::succeeds(&["renice", "-n", "19", "-p", &thread]),
    };
}

/// A thread that makes bursts without end.
struct Bursts {
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<Crowd>,
}

impl Bursts {
    fn begin(mut crowd: Crowd, parts: &'static [Part], priority: Priority) -> Bursts {
        let (is_over, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let thread = thread::spawn({
            let (is_over, done) = (Arc::clone(&is_over), Arc::clone(&done));
            move || {
                share_the_clients_cpu(priority);
                for part in parts.iter().cycle() {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    crowd.burst(*part);
                    done.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PAUSE);
                }
                crowd
            }
        });
        Bursts {
            is_over,
            done,
            thread,
        }
    }

    /// Waits for the end of the last burst. Returns the crowd and the number of bursts.
    fn end(self) -> (Crowd, u64) {
        self.is_over.store(true, Ordering::Relaxed);
        let crowd = self.thread.join().unwrap();
        (crowd, self.done.load(Ordering::Relaxed))
    }
}

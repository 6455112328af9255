//! What TLS costs: for a request, for a connection and for a handshake, beside plain connections, and beside nginx that
//! terminates TLS in front of a plain server.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ipseity_core::words::{Message, Status};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_harness::{lockstep::identity_request, measured::PATIENCE};
use ipseity_tls::{Roots, client_config, server_name};
use rustls::{ClientConfig, ClientConnection, StreamOwned, client::Resumption};

use crate::{
    bursts::{Priority, share_the_clients_cpu},
    load::{Load, Place},
    memory::{REPLY_BYTES, resident},
    sample::{Plan, Sample, Samples, alternate, grouped, measure, ratio},
    subject::{Running, Subject},
};

/// How many clients connect again at once.
const STORM: usize = 1000;

/// Requests a second of the fifty that stay connected, which leaves the clients' processor time for the storm.
const RATE: u32 = 2000;

/// How many connections are held while their memory is measured.
const HELD: usize = 2000;

/// How many handshakes are made one after the other in a round.
const HANDSHAKES: usize = 500;

/// Measures everything of TLS.
pub fn tls(plan: &Plan) {
    println!("### TLS\n");
    requests(plan);
    handshakes(plan);
    idle(plan);
    storm(plan);
}

/// The processor time of a request, with TLS and without, and behind nginx.
fn requests(plan: &Plan) {
    println!(
        "Both ends on one CPU; {} alternating rounds; CPU time a request, of nginx and of the server behind it together. \
         The goals: at 1 x 1 at most 3 µs more than a plain request, at 50 x 64 at most 1.6 times as much, and less than \
         behind nginx.\n",
        plan.rounds
    );
    println!(
        "| connections x in flight | plain, CPU µs | TLS, CPU µs | more, µs | ratio | nginx, CPU µs | nginx / TLS |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut subjects = vec![Subject::Ipseity, Subject::Sealed];
    if Subject::Nginx.is_here() {
        subjects.push(Subject::Nginx);
    }
    for load in [
        Load::new(1, 1),
        Load::new(50, 1),
        Load::new(50, 16),
        Load::new(50, 64),
    ] {
        let samples = alternate(&subjects, load, Place::OneCpu, plan);
        let cpu = |sample: &Sample| sample.cpu_us;
        let (plain, sealed) = (&samples[0], &samples[1]);
        let nginx = samples.get(2);
        println!(
            "| {load} | {} | {} | {:.2} | {:.2} | {} | {} |",
            plain.show(cpu, 3),
            sealed.show(cpu, 3),
            sealed.median(cpu) - plain.median(cpu),
            ratio(sealed, plain, cpu),
            nginx.map_or(String::new(), |nginx| nginx.show(cpu, 3)),
            nginx.map_or(String::new(), |nginx| format!(
                "{:.2}",
                ratio(nginx, sealed, cpu)
            )),
        );
    }
    println!();
}

/// What a handshake costs the server, from the first byte of a connection to its end, with one request.
fn handshakes(plan: &Plan) {
    println!(
        "Connections with one request each, one after the other, that are never resumed; {} rounds.\n",
        plan.rounds
    );
    println!(
        "| a connection that comes and goes | CPU µs of the server | so many a second would fill a CPU |"
    );
    println!("| --- | ---: | ---: |");
    let count = HANDSHAKES.min(plan.idle_connections);
    for (subject, what) in [(Subject::Ipseity, "plain"), (Subject::Sealed, "with TLS")] {
        let server = subject.start(Place::OneCpu);
        let connect = Connect::new(&server);
        let mut each: Vec<f64> = (0..plan.rounds)
            .map(|_| {
                let before = cpu_seconds(server.pid());
                for _ in 0..count {
                    drop(connect.used());
                }
                (cpu_seconds(server.pid()) - before) * 1e6 / count as f64
            })
            .collect();
        each.sort_by(f64::total_cmp);
        let median = each[each.len() / 2];
        println!(
            "| {what} | {} ({} to {}) | {} |",
            grouped(median, 0),
            grouped(each[0], 0),
            grouped(each[each.len() - 1], 0),
            grouped(1e6 / median, 0)
        );
    }
    println!();
}

/// The memory of idle connections with TLS.
fn idle(plan: &Plan) {
    println!("| what | measured | goal |");
    println!("| --- | ---: | ---: |");
    let server = Subject::Sealed.start(Place::Free);
    let connect = Connect::new(&server);
    let first = connect.used();
    let before = resident(server.pid(), "RssAnon");
    let held: Vec<Used> = (0..HELD.min(plan.idle_connections))
        .map(|_| connect.used())
        .collect();
    let after = resident(server.pid(), "RssAnon");
    let each = after.saturating_sub(before) as f64 / held.len() as f64;
    println!(
        "| an idle connection with TLS after use, {} held | {} bytes | 10,000 bytes |\n",
        grouped(held.len() as f64, 0),
        grouped(each, 0)
    );
    drop((first, held));
}

/// Fifty clients that stay connected, alone and beside many that all connect again, again and again.
fn storm(plan: &Plan) {
    let count = STORM.min(plan.idle_connections);
    println!(
        "50 clients with TLS send {RATE} requests a second in all, the server on one CPU and all clients on another; {} \
         rounds. In a storm, {} more clients with TLS connect at once, and do so again when the last of them has its \
         first identity. They run with the lowest ordinary priority (nice 19), because all clients share one \
         processor.\n",
        plan.rounds,
        grouped(count as f64, 0)
    );
    println!("| | quiet | beside the storm | ratio | goal |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let server = Subject::Sealed.start(Place::TwoCpus);
    let connect = Arc::new(Connect::new(&server));
    let load = Load::new(50, 1).at_rate(RATE);
    let (mut quiet, mut stormy) = (Samples::default(), Samples::default());
    let mut waits = Vec::new();
    let sample = |time| measure(&server, load, Place::TwoCpus, time, plan.warmup);
    for _ in 0..plan.rounds {
        quiet.0.push(sample(plan.sample));
        let is_over = Arc::<AtomicBool>::default();
        let storm = thread::spawn({
            let (connect, is_over) = (Arc::clone(&connect), Arc::clone(&is_over));
            move || {
                share_the_clients_cpu(Priority::Nice);
                let mut waits = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    waits.extend(wave(&connect, count));
                }
                waits
            }
        });
        stormy.0.push(sample(plan.sample * 2));
        is_over.store(true, Ordering::Relaxed);
        waits.push(storm.join().unwrap());
    }
    for (what, number) in [
        ("p50, µs", (|s| s.p50_us) as fn(&Sample) -> f64),
        ("p99, µs", |s| s.p99_us),
    ] {
        println!(
            "| {what} | {} | {} | {:.2} | {} |",
            quiet.show(number, 0),
            stormy.show(number, 0),
            ratio(&stormy, &quiet, number),
            if what.starts_with("p99") { "3" } else { "" }
        );
    }
    let last: Vec<f64> = waits.iter().flatten().map(Duration::as_secs_f64).collect();
    let most = last.iter().copied().fold(0.0, f64::max);
    println!(
        "\nIn {} storms the last client had its first identity after {most:.2} s at most. A step of a handshake waited \
         {:.0} ms for its turn at most.\n",
        last.len(),
        connect.status().tls.longest_wait_us as f64 / 1e3
    );
}

/// All connect at once. Returns how long the last of them had to wait for its first identity.
fn wave(connect: &Arc<Connect>, count: usize) -> Option<Duration> {
    /// Each thread has little to do.
    const STACK_BYTES: usize = 256 * 1024;
    let begin = Instant::now();
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let connect = Arc::clone(connect);
            let work = move || (connect.used(), begin.elapsed());
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn(work).unwrap()
        })
        .collect();
    let all: Vec<(Used, Duration)> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    all.iter().map(|(_, wait)| *wait).max()
}

/// How to connect to a server.
struct Connect {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection on which a request was answered.
enum Used {
    Plain(TcpStream),
    Sealed(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connect {
    fn new(server: &Running) -> Connect {
        let tls = server.ca().map(|ca| {
            let (mut config, _) = client_config(&Roots::read(&ca).unwrap(), None);
            config.resumption = Resumption::disabled();
            Arc::new(config)
        });
        Connect {
            address: server.address(),
            tls,
        }
    }

    fn used(&self) -> Used {
        let mut used = self.connect();
        let mut request = Vec::new();
        encode(&identity_request(), &mut request);
        used.write(&request);
        let mut reply = [0; REPLY_BYTES];
        match &mut used {
            Used::Plain(stream) => stream.read_exact(&mut reply).unwrap(),
            Used::Sealed(stream) => stream.read_exact(&mut reply).unwrap(),
        }
        used
    }

    fn connect(&self) -> Used {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        match &self.tls {
            None => Used::Plain(socket),
            Some(config) => {
                let name = server_name(&self.address.ip().to_string()).unwrap();
                let session = ClientConnection::new(Arc::clone(config), name).unwrap();
                Used::Sealed(Box::new(StreamOwned::new(session, socket)))
            }
        }
    }

    fn status(&self) -> Status {
        let mut used = self.connect();
        let mut request = Vec::new();
        encode(&Message::StatusRequest, &mut request);
        used.write(&request);
        let mut decoder = FrameDecoder::new();
        loop {
            match decoder.next(Receiver::Client).unwrap() {
                Some(Message::StatusReply(status)) => return *status,
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            let space = decoder.space();
            let bytes = match &mut used {
                Used::Plain(stream) => stream.read(space).unwrap(),
                Used::Sealed(stream) => stream.read(space).unwrap(),
            };
            assert!(bytes > 0, "the server closed the connection");
            decoder.filled(bytes);
        }
    }
}

impl Used {
    fn write(&mut self, bytes: &[u8]) {
        match self {
            Used::Plain(stream) => stream.write_all(bytes).unwrap(),
            Used::Sealed(stream) => stream.write_all(bytes).unwrap(),
        }
    }
}

/// The processor time that a process has used, exact to a nanosecond.
pub fn cpu_seconds(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

//! How fast other clients are served while one client floods.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    thread::{self, JoinHandle},
};

use ipseity_frames::encode;
use ipseity_harness::lockstep::identity_request;

use crate::{
    load::{Load, Place},
    sample::{Plan, Sample, Samples, measure, ratio},
    subject::Subject,
};

/// How many requests the flooding client gives to the kernel at a time.
const FLOOD_BATCH: usize = 8192;

/// How many bytes of replies it takes at a time.
const FLOOD_READ_BYTES: usize = 1 << 20;

/// Measures fifty clients, alone and beside one that floods.
pub fn flood(plan: &Plan) {
    println!("### While one client floods\n");
    println!(
        "50 x 1, the server on one CPU and all clients on another; {} rounds. Each round runs first without and \
         then with one more client, which writes requests as fast as they are taken and throws the replies \
         away.\n",
        plan.rounds
    );
    println!("| | quiet | beside the flood | ratio | goal |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let load = Load::new(50, 1);
    let server = Subject::Ipseity.start(Place::TwoCpus);
    let (mut quiet, mut flooded) = (Samples::default(), Samples::default());
    let sample = || measure(&server, load, Place::TwoCpus, plan.sample, plan.warmup);
    for _ in 0..plan.rounds {
        quiet.0.push(sample());
        let flood = Flood::start(server.address());
        flooded.0.push(sample());
        flood.stop();
    }
    let p99 = |sample: &Sample| sample.p99_us;
    println!(
        "| p99, µs | {} | {} | {:.2} | 2 |",
        quiet.show(p99, 0),
        flooded.show(p99, 0),
        ratio(&flooded, &quiet, p99)
    );
    let requests = |sample: &Sample| sample.requests;
    println!(
        "| requests/s of the fifty | {} | {} | {:.2} | |",
        quiet.show(requests, 0),
        flooded.show(requests, 0),
        ratio(&flooded, &quiet, requests)
    );
    println!();
}

/// A client that asks without end. It does not look at replies, so it costs the machine little apart from the server.
struct Flood {
    stream: TcpStream,
    threads: [JoinHandle<()>; 2],
}

impl Flood {
    fn start(server: SocketAddr) -> Flood {
        let stream = TcpStream::connect(server).unwrap();
        let mut one = Vec::new();
        encode(&identity_request(), &mut one);
        let batch = one.repeat(FLOOD_BATCH);
        let (mut writing, mut reading) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        // Both end when the connection is shut down.
        let writer = thread::spawn(move || while writing.write_all(&batch).is_ok() {});
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; FLOOD_READ_BYTES];
            while reading.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
        });
        Flood {
            stream,
            threads: [writer, reader],
        }
    }

    fn stop(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

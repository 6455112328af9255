//! How much memory connections cost.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use ipseity_frames::encode;
use ipseity_harness::lockstep::identity_request;

use crate::{
    load::{Load, Place},
    sample::{Plan, grouped, measure},
    subject::Subject,
};

/// An identityReply.
pub const REPLY_BYTES: usize = 15;

/// The memory of ten thousand connections that were used, and of a process that was busy.
pub fn memory(plan: &Plan) {
    println!("### Memory\n");
    println!(
        "`RssAnon` of `/proc/PID/status` is the memory that the process has written to and that is not a file. \
         `VmRSS` also counts the program itself. The kernel's own memory for sockets is not counted.\n"
    );
    println!("| what | measured | goal |");
    println!("| --- | ---: | ---: |");
    let server = Subject::Ipseity.start(Place::Free);
    // The first connection allocates the buffers that all share.
    let first = used(server.address());
    let before = resident(server.pid(), "RssAnon");
    let held: Vec<TcpStream> = (1..plan.idle_connections)
        .map(|_| used(server.address()))
        .collect();
    let after = resident(server.pid(), "RssAnon");
    let each = after.saturating_sub(before) as f64 / held.len() as f64;
    println!(
        "| an idle connection after use, {} held | {each:.0} bytes | 48 bytes |",
        grouped(plan.idle_connections as f64, 0)
    );
    drop((first, held, server));
    for load in [Load::new(50, 64), Load::new(1000, 256)] {
        let server = Subject::Ipseity.start(Place::Free);
        let at_start = resident(server.pid(), "RssAnon");
        measure(&server, load, Place::Free, plan.sample, plan.warmup);
        let mb = |name| grouped(resident(server.pid(), name) as f64 / 1e6, 2);
        println!(
            "| the process after {load} | {} MB (at its start {} MB); all of `VmRSS` {} MB | {} |",
            mb("RssAnon"),
            grouped(at_start as f64 / 1e6, 2),
            mb("VmRSS"),
            if load.connections == 1000 {
                "2.5 MB"
            } else {
                ""
            }
        );
    }
    println!();
}

/// A connection with one request, which was answered.
fn used(server: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    let mut request = Vec::new();
    encode(&identity_request(), &mut request);
    stream.write_all(&request).unwrap();
    stream.read_exact(&mut [0; REPLY_BYTES]).unwrap();
    stream
}

/// A line of a process's status, in bytes.
pub fn resident(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}

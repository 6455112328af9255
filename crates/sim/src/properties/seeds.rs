//! The inputs with which a fuzzer begins. They are made from the golden bytes, and reach far into the code.

use ipseity_frames::Receiver;

use super::frames::RECEIVERS;
use crate::goldens::{malformed, malformed_too, messages, unfinished};

/// The name of a target, and its inputs.
pub type Seeds = (&'static str, Vec<Vec<u8>>);

/// The inputs for each target.
pub fn seeds() -> Vec<Seeds> {
    vec![
        ("frames", frames()),
        ("connection", connection()),
        ("sealed", sealed()),
        ("client", client()),
        ("slots", slots()),
        ("http", http()),
        ("command_line", command_line()),
    ]
}

/// Every golden frame alone, all frames of a receiver together, and malformed frames after them.
fn frames() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, receiver) in RECEIVERS.into_iter().enumerate() {
        for (cut, stream) in streams(receiver).into_iter().enumerate() {
            seeds.push([&[number as u8, cut as u8], &stream[..]].concat());
        }
    }
    seeds
}

/// Streams that a server may meet, on accepted and on dialed connections, with every disk and every pause.
fn connection() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (is_dialed, receiver) in [(0, Receiver::Server), (1, Receiver::Dialer)] {
        for (number, stream) in streams(receiver).into_iter().enumerate() {
            let number = number as u8;
            let flags = number.wrapping_mul(37) << 1 | is_dialed;
            let disk = number.wrapping_mul(77);
            seeds.push([&[flags, disk, number], &stream[..]].concat());
        }
    }
    seeds
}

/// The same streams, sealed and cut in every way, changed, and not sealed at all.
fn sealed() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, stream) in streams(Receiver::Server).into_iter().enumerate() {
        let number = number as u8;
        let [flags, cuts] = [number.wrapping_mul(37), number.wrapping_mul(29)];
        let head = [flags, number, cuts, number / 2];
        // What is read of it depends on the flags.
        let changed: &[u8] = match flags >> 5 {
            4 | 5 => &[0, number, 1],
            _ => &[],
        };
        seeds.push([&head, changed, &stream[..]].concat());
    }
    seeds
}

/// Every request, with each golden answer to it.
fn client() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for asked in 0..7 {
        for answer in streams(Receiver::Client) {
            seeds.push([&[asked, 3, 0, 0], &answer[..]].concat());
        }
    }
    seeds
}

/// Files with records in order and out of order, and each thing that can happen to them.
fn slots() -> Vec<Vec<u8>> {
    /// A record: its flags, then the numbers of [`Input::number`](super::input::Input::number).
    fn record(flags: u8, generation: u8, sequence: u16) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        let numbers = [[0, 0, generation], [0, high, low], [0, 4, 0], [32, 0, 1]];
        let boot = [0, 0, 3];
        // The mark of the members file, and how many starts are remembered.
        let more = [(generation % 3) | (2 << 2)];
        let last = [[0, 0, 0]; 3];
        let head = [5, flags];
        [
            &head[..],
            numbers.as_flattened(),
            &boot,
            &more,
            last.as_flattened(),
        ]
        .concat()
    }
    let ops: [&[u8]; 9] = [
        &[0, 0, 3, 232, 10, 0, 1],
        &[2, 0, 0, 9],
        &[4, 1, 0b0101_0011],
        &[0, 0, 0, 7, 40, 0, 1],
        &[0, 0, 0, 0, 0, 3, 232],
        &[7],
        &[3, 0, 0, 100],
        &[6, 0x50],
        &[5, 0x12, 0x34],
    ];
    let files = [
        [
            record(0, 4, 10),
            record(0, 5, 20),
            record(0, 4, 10),
            record(0, 5, 20),
        ],
        [
            record(1, 6, 10),
            record(0, 5, 20),
            vec![0],
            record(0, 5, 20),
        ],
        [
            vec![1, 0, 3, b'I', b'P', b'S'],
            record(0, 7, 9),
            vec![2],
            record(96, 7, 9),
        ],
        [
            [&[4][..], &record(0, 8, 30)[1..], &[0, 0, 9, 2]].concat(),
            vec![0],
            vec![0],
            vec![0],
        ],
        [record(24, 1, 1), record(6, 1, 1), vec![0], vec![3]],
    ];
    let mut seeds = Vec::new();
    for file in &files {
        for from in 0..ops.len() {
            seeds.push(
                [
                    &file.concat()[..],
                    &[0],
                    &ops[from..].concat(),
                    &ops.concat(),
                ]
                .concat(),
            );
        }
    }
    seeds
}

/// Requests of every kind, with every header that means something, alone and one behind the other.
fn http() -> Vec<Vec<u8>> {
    let requests = [
        "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /readyz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /status HTTP/1.1\r\nHost: [::1]:3265\r\nAccept: text/plain;q=0.5, */*\r\n\r\n",
        "GET /metrics HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: ids.example\r\nConnection: close\r\n\r\n",
        "GET http://localhost/ HTTP/1.1\r\nHost: other.example\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /identities?count=3&after=0x401 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: text/plain\r\n\r\n",
        "POST /identities?after=1%3A1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n\
         Content-Length: 2\r\n\r\n{}",
        "POST /identities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        "POST /identities?cuont=3 HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\n\r\nabc",
        "PUT /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET /livez HTTP/1.1\nHost : a\r\n folded\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let streams = requests.iter().map(|request| (*request).to_owned());
    let streams = streams.chain([requests.concat(), "x".repeat(9000), "\r\n".repeat(5000)]);
    let cut = |(number, stream): (usize, String)| [&[number as u8], stream.as_bytes()].concat();
    streams.enumerate().map(cut).collect()
}

/// Every flag with a good and a bad value, and texts of all forms.
fn command_line() -> Vec<Vec<u8>> {
    [
        "--listen\n[::1]:0\n--peer\na.example:3264\n--peer=b:1\n--pid\n1023\n--cluster\nblue",
        "--sync-interval\n250ms\n--data-dir\n/x\n--max-connections\n7\n--max-count=16777214",
        "--max-advance=1\n--after-burst\n0\n--peer-burst\n18446744073709551615\n--advance-rate=5",
        "--join\nrequire\n--join-timeout\n1m 30s\n--recover-above\n9007199254740990\n--ephemeral",
        "--trust\n10.0.0.5\n--trust\nfd00::5\n--max-pending-bytes\n65536\n--idle-timeout\n0",
        "--trace\n-\n--log-level\ndebug",
        "--help",
        "--version",
        "--pid\n1024",
        "--peer\nb:0",
        "IPSEITY_PEER=a:1, b:2\nIPSEITY_EPHEMERAL=yes\n--pid-base\n5\n--pid-from-hostname\nIPSEITY_CLUSTER=ids-3",
        "IPSEITY_EXISTING=maybe\nIPSEITY_PORT=tcp://10.0.0.1:3264",
        "--frobnicate\nx",
        "-x",
        "--ephemeral=1",
        "1025\n0x401\n1:1\n0x0000000000000401\n9223372036854775807\n:\n1:1024",
        "[::1]:3264\nlocalhost\nhost:65536\n[fe80::1]\n1.2.3.4:5",
        "2s\n1h 2m 3s 4ms 5us 6ns\n99999999999999999999\n1.5",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Streams that a receiver may meet.
fn streams(receiver: Receiver) -> Vec<Vec<u8>> {
    let good = messages().into_iter().filter(|g| g.receiver == receiver);
    let mut streams: Vec<Vec<u8>> = good.map(|golden| golden.bytes).collect();
    let all = streams.concat();
    let bad = [malformed(), malformed_too(), unfinished()]
        .into_iter()
        .flatten();
    let bad = bad.filter(|m| m.receiver == receiver);
    streams.extend(bad.map(|malformed| [&all[..], &malformed.bytes].concat()));
    streams.push(all);
    streams
}

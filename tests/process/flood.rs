//! A peer that floods a real server: neither its log nor its disk is filled.

use std::{fs, net::TcpStream, time::Instant};

use ipseity::limits::LINES_PER_PEER_MAX;
use ipseity_core::{
    identity::{Pid, Sequence},
    limits::{SAVE_BURST, SAVE_RATE_PER_SECOND},
    words::{Message, SyncMessage},
};
use ipseity_harness::{server::Connection, unheard::Unheard};
use ipseity_sim::config::peer_says;
use tempfile::NamedTempFile;

/// What the flood may add to the log. One line of it is 150 bytes.
const LOG_BYTES_MAX: u64 = 8 * 1024;

const ROUNDS: u64 = 50;
const ROUND: u64 = 400;

#[test]
fn a_peer_that_floods_fills_neither_the_log_nor_the_disk() {
    let log = NamedTempFile::new().unwrap();
    let length = || fs::metadata(log.path()).unwrap().len();
    let mut server = Unheard::start(log.reopen().unwrap(), &["--pid", "1"]);
    let mut peer = Connection::dialing(TcpStream::connect(server.address()).unwrap());
    let (before, begun) = (length(), Instant::now());
    // Every second message is refused, and each claims another restart.
    for round in 0..ROUNDS {
        for number in 0..ROUND {
            let is_refused = number % 2 == 1;
            peer.send(&Message::SyncRequest(Box::new(SyncMessage {
                boot: round * ROUND + number + 1,
                sequence: if is_refused {
                    Sequence::MAX.get() + 1
                } else {
                    0
                },
                ..peer_says(Pid::new(900).unwrap())
            })));
        }
        for number in 0..ROUND {
            match peer.receive() {
                Message::SyncReply(reply) => {
                    let is_refused = reply.told.refused != 0;
                    assert_eq!(is_refused, number % 2 == 1, "{reply:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let mut client = server.connect();
    client.send(&Message::StatusRequest);
    let Message::StatusReply(status) = client.receive() else {
        panic!("a statusRequest has one answer");
    };
    // Nothing was handed out, so only the peers were written.
    let bound = SAVE_BURST + SAVE_RATE_PER_SECOND * (begun.elapsed().as_secs() + 1);
    let writes = status.storage.writes;
    assert!(
        (1..=bound).contains(&writes),
        "{writes} writes, {bound} are the bound"
    );
    assert!(server.next() > 0);
    let (code, _) = server.stop("TERM");
    assert_eq!(code, 0);
    let grown = length() - before;
    assert!(grown <= LOG_BYTES_MAX, "the log has grown by {grown} bytes");
    let text = fs::read_to_string(log.path()).unwrap();
    let left_out = ROUNDS * ROUND / 2 - u64::from(LINES_PER_PEER_MAX);
    let told =
        format!(": and {left_out} more like it in the last minute ({left_out} about pid 900)");
    assert!(text.contains(&told), "{text}");
}

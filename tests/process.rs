//! The life of one server process: start, stop, signals, and what it says.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod server;

use ipseity::wire::Message;
use server::Server;

#[test]
fn a_clean_restart_skips_nothing_and_a_kill_repeats_nothing() {
    let mut server = Server::start(&["--pid", "1"]);
    assert_eq!(
        server.ask(3, 0),
        Message::IdentityReply {
            first: 1025,
            count: 3
        }
    );
    assert_eq!(server.stop(), 0);
    server.restart();
    assert_eq!(
        server.ask(1, 0),
        Message::IdentityReply {
            first: 4 * 1024 + 1,
            count: 1
        }
    );
    server.kill();
    server.restart();
    match server.ask(1, 0) {
        Message::IdentityReply { first, .. } => assert!(first > 4 * 1024 + 1, "{first}"),
        other => panic!("{other:?}"),
    }
}

//! The client and the source for tokio, before servers that fail in every way.
//!
//! - `client`: one call after the other, and many at once: order, failover, time, cancelled calls, TLS.
//! - `source`: blocks ahead of need, what is dropped, refills that fail.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod client;
mod source;

use std::time::Duration;

use ipseity_client::{ClientError, ClientOptions, FailureCause, First, Identity};
use ipseity_core::{
    identity::{Pid, Sequence},
    words::{ErrorCode, Message},
};
use ipseity_harness::fake::{Fake, Step};

/// A server that is silent costs a test this long.
const SOON: Duration = Duration::from_millis(300);

/// Long beside anything that these tests wait for.
const LONG: Duration = Duration::from_secs(60);

fn options() -> ClientOptions {
    ClientOptions {
        call_timeout: LONG,
        reply_timeout: LONG,
        first: First::Place(0),
        ..ClientOptions::default()
    }
}

fn addresses(servers: &[&Fake]) -> Vec<String> {
    servers.iter().map(|server| server.address()).collect()
}

fn stopping() -> Step {
    Step::error(ErrorCode::Stopping, "stopping")
}

fn identity(sequence: u64, pid: u16) -> Identity {
    Identity::new(Sequence::new(sequence).unwrap(), Pid::new(pid).unwrap())
}

fn causes(error: ClientError) -> Vec<FailureCause> {
    match error {
        ClientError::Unavailable(failures) => {
            failures.into_iter().map(|failure| failure.cause).collect()
        }
        other => panic!("{other}"),
    }
}

/// The counts of the requests for identities that have come.
fn counts(server: &Fake) -> Vec<u32> {
    let requests = server.requests();
    let counts = requests.iter().filter_map(|request| match request {
        Message::IdentityRequest { count, .. } => Some(*count),
        _ => None,
    });
    counts.collect()
}

async fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

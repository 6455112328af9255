//! The network of the study: how long a frame takes, and how often it is sent.
//!
//! TCP sends a lost segment again, later. A request is one segment and its answer is another. No segment follows
//! them that could show the loss sooner, so the sender waits for its timer: first 200 ms, the least that Linux
//! allows, and then twice as long each time (RFC 6298). So a loss becomes a delay. It becomes a broken connection
//! when a server waits so long for an answer that it hangs up.

use std::time::Duration;

use fastrand::Rng;
use ipseity::limits::{DIAL_TIMEOUT, SYNC_INTERVAL_DEFAULT};

/// How often servers ask.
pub const INTERVAL: Duration = SYNC_INTERVAL_DEFAULT;

/// How long a segment takes: 1 ms, plus or minus a half.
const DELAY_NANOS: std::ops::Range<u64> = 500_000..1_500_000;

/// How long a sender waits for the first time (Linux: `TCP_RTO_MIN`).
const RESEND: Duration = Duration::from_millis(200);

/// A sixth segment would leave 6.2 s after the first, and by then the server that asks has hung up.
const SENDINGS_MAX: u32 = 5;

/// The same for a segment that opens a connection (RFC 6298: 1 s).
const RESEND_OPENING: Duration = Duration::from_secs(1);

/// How a frame was sent.
pub struct Sent {
    /// How often it was sent.
    pub segments: u32,
    /// How long it takes to arrive, if it does.
    pub arrives: Option<Duration>,
}

/// Sends a frame. Each segment is lost with this chance.
pub fn send(random: &mut Rng, loss_percent: u32) -> Sent {
    let mut waited = Duration::ZERO;
    for segments in 1..=SENDINGS_MAX {
        if !is_lost(random, loss_percent) {
            let arrives = Some(waited + delay(random));
            return Sent { segments, arrives };
        }
        waited += RESEND * (1 << (segments - 1));
    }
    Sent {
        segments: SENDINGS_MAX,
        arrives: None,
    }
}

/// Opens a connection. Returns how long that takes, or `None` when it takes longer than a server waits.
pub fn open(random: &mut Rng, loss_percent: u32) -> Option<Duration> {
    let mut waited = Duration::ZERO;
    let mut resend = RESEND_OPENING;
    while waited < DIAL_TIMEOUT {
        // One segment there and one back.
        if !is_lost(random, loss_percent) && !is_lost(random, loss_percent) {
            return Some(waited + delay(random) + delay(random));
        }
        waited += resend;
        resend *= 2;
    }
    None
}

fn is_lost(random: &mut Rng, loss_percent: u32) -> bool {
    random.u32(0..100) < loss_percent
}

/// How long a segment takes that is not lost.
pub fn delay(random: &mut Rng) -> Duration {
    Duration::from_nanos(random.u64(DELAY_NANOS))
}

//! What clients ask by HTTP: requests of every form, malformed ones, and ones that are cut off.

use fastrand::Rng;
use ipseity_core::{
    actor::ActorConfig,
    identity::{Identity, Pid, Sequence},
};

use super::{
    client::{Asked, Batch, Client, Ending, Known, Web, WebAsked},
    fault::{Fault, chance},
};

impl Client {
    /// Draws the next requests by HTTP.
    pub fn draw_web(&mut self, known: Known, own: &ActorConfig) -> Batch {
        let mut batch = Batch::default();
        let requests = self.rng.usize(1..=self.plan.batch_max);
        for _ in 0..requests {
            self.draw_web_one(known, own, &mut batch);
            if batch.asked.last().is_some_and(Asked::ends) {
                break;
            }
        }
        let has_ended = batch.asked.last().is_some_and(Asked::ends);
        let is_unfinished = matches!(
            batch.asked.last(),
            Some(Asked::Web(asked)) if asked.what == Web::Unfinished
        );
        let rng = &mut self.rng;
        if has_ended && !is_unfinished && rng.bool() {
            // Nothing behind it may be answered.
            let post = b"POST /identities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n";
            batch.bytes.extend_from_slice(post);
        }
        let plan = &self.plan;
        if chance(rng, plan.half_close) {
            batch.faults.push(Fault::HalfClose);
            batch.ending = Ending::Shuts;
        } else if chance(rng, plan.leave) {
            batch.faults.push(Fault::Leave);
            batch.ending = Ending::Leaves;
        } else if chance(rng, plan.unread) {
            batch.faults.push(Fault::Unread);
            batch.ending = Ending::Unread(std::time::Duration::from_millis(rng.u64(..6000)));
        } else if chance(rng, plan.pieces) {
            batch.cut = Some(rng.usize(..batch.bytes.len()));
        }
        batch
    }

    fn draw_web_one(&mut self, known: Known, own: &ActorConfig, batch: &mut Batch) {
        let (rng, plan) = (&mut self.rng, &self.plan);
        let mut add = |bytes: &[u8], what, closes| {
            batch.bytes.extend_from_slice(bytes);
            batch.asked.push(Asked::Web(Box::new(WebAsked {
                what,
                closes,
                known,
            })));
        };
        if chance(rng, plan.garbage) {
            let (bytes, status, closes) = *rng.choice(&MALFORMED).unwrap();
            add(bytes, Web::Refused(status), closes);
            batch.faults.push(Fault::Garbage);
            return;
        }
        if chance(rng, plan.unfinished) {
            let whole =
                b"POST /identities HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{";
            let length = rng.usize(1..=whole.len());
            add(&whole[..length], Web::Unfinished, true);
            batch.faults.push(Fault::Unfinished);
            return;
        }
        let what = match rng.u32(..100) {
            0..8 => Web::Live,
            8..24 => Web::Ready,
            24..27 => Web::Status,
            27..31 => Web::Metrics,
            _ => {
                let count = match rng.u32(..50) {
                    0 => own.count_max + 1,
                    _ => rng.u32(1..=plan.count_max),
                };
                let mut after = if plan.carries { self.newest } else { 0 };
                if chance(rng, plan.after) {
                    let far = match rng.u32(..5) {
                        0 => rng.u64(..1000),
                        1 => rng.u64(..1 << 22),
                        2 => own.advance_max,
                        3 => own.advance_max + rng.u64(1..1000),
                        _ => rng.u64(..1 << 33),
                    };
                    let sequence = known.highest.checked_add(far).and_then(Sequence::new);
                    if let Some(sequence) = sequence {
                        batch.faults.push(Fault::After);
                        after = Identity::new(sequence, Pid::MAX).get();
                    }
                }
                let is_text = rng.bool();
                Web::Identities {
                    count,
                    after,
                    is_text,
                }
            }
        };
        let (bytes, closes) = written(rng, what);
        add(&bytes, what, closes);
    }
}

/// A request as bytes, in one of the forms that it may have, and whether the connection ends with the answer.
fn written(rng: &mut Rng, what: Web) -> (Vec<u8>, bool) {
    let closes = rng.u32(..25) == 0;
    let version = if closes && rng.bool() { "1.0" } else { "1.1" };
    let mut text = match what {
        Web::Identities { count, after, .. } => {
            let mut query = match count {
                1 if rng.bool() => String::new(),
                _ => format!("count={count}"),
            };
            if let Some(after) = Identity::from_u64(after) {
                let (sequence, pid) = (after.sequence(), after.pid());
                query += &match rng.u32(..3) {
                    0 => format!("&after={}", after.get()),
                    1 => format!("&after=0x{:x}", after.get()),
                    _ => format!("&after={sequence}%3A{pid}"),
                };
            }
            let mark = if query.is_empty() { "" } else { "?" };
            format!("POST /identities{mark}{query} HTTP/{version}\r\n")
        }
        Web::Status => format!("GET /status HTTP/{version}\r\n"),
        Web::Metrics => format!("GET /metrics?name=x HTTP/{version}\r\n"),
        Web::Live => format!("GET /livez HTTP/{version}\r\n"),
        Web::Ready => format!("GET http://probe/readyz HTTP/{version}\r\n"),
        Web::Refused(_) | Web::Unfinished => unreachable!("those are not whole requests"),
    };
    text += "Host: 127.0.0.1:3265\r\n";
    if let Web::Identities { is_text, .. } = what {
        text += "Content-Type: application/json\r\n";
        text += match is_text {
            true => "Accept: text/plain\r\n",
            false => "Accept: */*\r\n",
        };
    }
    if closes && version == "1.1" {
        text += "Connection: close\r\n";
    }
    if rng.u32(..10) == 0 {
        // A body is skipped, even one that looks like a request.
        let body = "POST /identities?count=7 HTTP/1.1\r\nHost: a\r\n\r\n";
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    } else {
        text += "\r\n";
    }
    (text.into_bytes(), closes)
}

/// Malformed requests, with the status of the answer, and whether the connection ends.
const MALFORMED: [(&[u8], u16, bool); 14] = [
    (b"nonsense\r\n\r\n", 400, true),
    (b"GET /livez HTTP/1.1\r\n\r\n", 400, true),
    (b"GET /livez HTTP/1.1\nHost: a\n\n", 400, true),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, true),
    (
        b"POST /identities HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        411,
        true,
    ),
    (
        b"POST /identities HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
        413,
        true,
    ),
    (b"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n", 505, true),
    (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404, false),
    (b"POST /status HTTP/1.1\r\nHost: a\r\n\r\n", 405, false),
    (
        b"POST /identities HTTP/1.1\r\nHost: localhost\r\n\r\n",
        415,
        false,
    ),
    (
        b"POST /identities HTTP/1.1\r\nHost: else.where\r\nContent-Type: application/json\r\n\r\n",
        421,
        false,
    ),
    (
        b"POST /identities?count=0 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n",
        400,
        false,
    ),
    (
        b"POST /identities?after=x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n",
        400,
        false,
    ),
    (
        b"POST /identities?cuont=2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n",
        400,
        false,
    ),
];

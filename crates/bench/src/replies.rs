//! What becomes of bytes that a server has sent: replies, counted, timed and checked.

use crate::{
    check::{Breach, Checks, CounterId, Run},
    clock::Moment,
    connection::{Batch, Connection},
    pace::Open,
    protocol::{Protocol, Slow},
    tally::Tally,
};

/// Stands for "no run". No counter has this identity.
const NO_RUN: u64 = u64::MAX;

/// Where the replies of a round are counted, timed and checked.
pub struct Ledger<'a> {
    /// Counts and times them.
    pub tally: &'a mut Tally,
    /// Checks them.
    pub checks: &'a mut Checks,
    /// Requests that were sent, or should have been, before this are not counted.
    pub measured_from: Moment,
    /// In an open loop: the moments at which requests should have left.
    pub open: Option<&'a Open>,
}

/// What [`take`] has taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many bytes the whole replies have. The bytes after them are the beginning of the next one.
    pub bytes: usize,
    /// How many replies there were.
    pub replies: u32,
}

/// Takes all whole replies from the front of `bytes`, which came `now` on the connection at this place.
///
/// # Errors
/// A reply breaks a promise or is malformed; the text says how.
#[inline]
pub fn take<P: Protocol>(
    protocol: &mut P,
    connections: &mut [Connection],
    place: usize,
    bytes: &[u8],
    now: Moment,
    ledger: &mut Ledger<'_>,
) -> Result<Taken, String> {
    let mut taken = Taken {
        bytes: 0,
        replies: 0,
    };
    while taken.bytes < bytes.len() {
        let Some(batch) = connections[place].batches.front().copied() else {
            let unasked = bytes.len() - taken.bytes;
            return Err(format!("{unasked} bytes came that nothing had asked for"));
        };
        let part = take_of(
            protocol,
            connections,
            place,
            batch,
            &bytes[taken.bytes..],
            ledger,
        )?;
        let replies = part.served + part.refused;
        taken.bytes += part.bytes;
        taken.replies += replies;
        let connection = &mut connections[place];
        count(connection, batch, &part, now, ledger);
        connection.answered += u64::from(replies);
        connection.in_flight -= replies;
        if replies < batch.left {
            // The rest is the beginning of a reply, or nothing.
            if let Some(front) = connection.batches.front_mut() {
                front.left -= replies;
            }
            break;
        }
        connection.batches.pop_front();
    }
    Ok(taken)
}

/// Replies to the requests of one batch.
struct Part {
    bytes: usize,
    served: u32,
    refused: u32,
}

#[inline(always)]
fn take_of<P: Protocol>(
    protocol: &mut P,
    connections: &mut [Connection],
    place: usize,
    batch: Batch,
    bytes: &[u8],
    ledger: &mut Ledger<'_>,
) -> Result<Part, String> {
    let (mut at, mut left, mut refused) = (0, batch.left, 0);
    let mut run_first = NO_RUN;
    // The identity that would continue the run. For most identities this one comparison is enough.
    let mut run_next = NO_RUN;
    // The distance from the first of a block to the first of the next, if there is no gap.
    let block = protocol.block();
    while left > 0 {
        if let Some((first, length)) = protocol.quickly(&bytes[at..]) {
            if P::CHECKED && first != run_next {
                let run = run_first..run_next;
                finish(protocol, connections, place, run, ledger.checks)?;
                begin(protocol, connections, place, first, batch, ledger.checks)?;
                run_first = first;
            }
            run_next = first.wrapping_add(block);
            at += length;
            left -= 1;
        } else if at == bytes.len() {
            break;
        } else {
            match protocol.slowly(&bytes[at..]) {
                Slow::Partial => break,
                Slow::Broken(reason) => return Err(reason),
                Slow::Error { bytes, code, text } => {
                    // A server that answers only with errors need not be asked a million times.
                    if !ledger.tally.has_served && left == batch.left {
                        return Err(format!("refused with {code}: {text}"));
                    }
                    ledger.tally.error(code, text);
                    at += bytes;
                    left -= 1;
                    refused += 1;
                }
            }
        }
    }
    if P::CHECKED {
        let run = run_first..run_next;
        finish(protocol, connections, place, run, ledger.checks)?;
    }
    let served = batch.left - left - refused;
    ledger.tally.has_served |= served > 0;
    Ok(Part {
        bytes: at,
        served,
        refused,
    })
}

/// Counts the replies of one part and records their latency, if they came within the measured time.
#[inline(always)]
fn count(connection: &Connection, batch: Batch, part: &Part, now: Moment, ledger: &mut Ledger<'_>) {
    let replies = u64::from(part.served + part.refused);
    let measured = match ledger.open {
        None if batch.sent < ledger.measured_from => 0,
        None => {
            if replies > 0 {
                ledger.tally.record(now.since(batch.sent), replies);
            }
            u64::from(part.served)
        }
        Some(open) => {
            let mut measured = 0;
            for reply in connection.answered..connection.answered + replies {
                let intended = open.intended_on(connection.place, reply);
                if intended >= ledger.measured_from {
                    ledger.tally.record(now.since(intended), 1);
                    measured += 1;
                }
            }
            measured.min(u64::from(part.served))
        }
    };
    if measured > 0 {
        ledger.tally.requests += measured;
        ledger.tally.last = Some(now);
    }
}

/// Checks the first identity of a run: it must be of the counter whose identities come on this connection, and greater
/// than all that had been received when it was asked for.
#[inline(always)]
fn begin<P: Protocol>(
    protocol: &P,
    connections: &mut [Connection],
    place: usize,
    first: u64,
    batch: Batch,
    checks: &mut Checks,
) -> Result<(), String> {
    let connection = &mut connections[place];
    let key = protocol.counter(first, connection.server)?;
    match connection.counter {
        Some((known, _)) if known == key => {}
        Some((known, _)) => {
            return Err(format!(
                "identities of pid {} came after those of pid {} on one connection",
                key.0, known.0
            ));
        }
        None => connection.counter = Some((key, checks.counter(key, P::STRIDE.trailing_zeros()))),
    }
    if first <= connection.newest {
        return Err(format!(
            "identity {first} came after {} on one connection",
            connection.newest
        ));
    }
    if first <= batch.floor {
        return Err(format!(
            "identity {first} came after {}, which was received before it was asked for",
            batch.floor
        ));
    }
    Ok(())
}

/// Hands a run over to the checks, if there is one. `run` ends where the next identity would have stood.
#[inline]
fn finish<P: Protocol>(
    protocol: &P,
    connections: &mut [Connection],
    place: usize,
    run: std::ops::Range<u64>,
    checks: &mut Checks,
) -> Result<(), String> {
    if run.start == NO_RUN {
        return Ok(());
    }
    let Some((_, counter)) = connections[place].counter else {
        return Ok(());
    };
    let (first, last) = (run.start, run.end.wrapping_sub(P::STRIDE));
    if last < first || !protocol.exists(last) {
        return Err(format!(
            "identities from {first} to {last} came, which do not exist"
        ));
    }
    connections[place].newest = last;
    checks
        .take(counter, Run { first, last }, || {
            least_floor(connections, counter)
        })
        .map_err(|Breach(text)| text)
}

/// What every answer that is still to come from this counter has to exceed, at the least.
fn least_floor(connections: &[Connection], of: CounterId) -> u64 {
    connections
        .iter()
        .filter_map(|connection| {
            let oldest = connection.batches.front()?;
            match connection.counter {
                // It may turn out to be of this counter.
                None => Some(0),
                Some((_, counter)) => (counter == of).then_some(oldest.floor),
            }
        })
        .min()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use ipseity_core::words::Message;
    use ipseity_frames::encode;

    use super::*;
    use crate::{pace::Amount, protocol::Ipseity};

    const MS: Duration = Duration::from_millis(1);

    fn ms(count: u32) -> Moment {
        Moment(0).after(MS * count)
    }

    /// Replies with these sequences of pid 1.
    fn replies(sequences: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for sequence in sequences {
            let first = sequence * 1024 + 1;
            encode(&Message::IdentityReply { first, count: 1 }, &mut bytes);
        }
        bytes
    }

    /// Connections without a socket: a test says what is in flight, and what arrived.
    struct Bench {
        protocol: Ipseity,
        connections: Vec<Connection>,
        checks: Checks,
        tally: Tally,
        open: Option<Open>,
    }

    impl Bench {
        fn new(connections: usize) -> Bench {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let connect = |place| {
                let stream = TcpStream::connect(address).unwrap();
                Connection::new(stream, None, place, 0).unwrap()
            };
            Bench {
                protocol: Ipseity::new(1),
                connections: (0..connections).map(connect).collect(),
                checks: Checks::default(),
                tally: Tally::new(),
                open: None,
            }
        }

        fn sends(&mut self, place: usize, count: u32, now: Moment) {
            let connection = &mut self.connections[place];
            let floor = connection
                .counter
                .map_or(0, |(_, counter)| self.checks.newest(counter));
            connection.batches.push_back(Batch {
                sent: now,
                floor,
                left: count,
            });
            connection.in_flight += count;
        }

        fn receives(&mut self, place: usize, bytes: &[u8], now: Moment) -> Result<Taken, String> {
            let mut ledger = Ledger {
                tally: &mut self.tally,
                checks: &mut self.checks,
                measured_from: ms(10),
                open: self.open.as_ref(),
            };
            let connections = &mut self.connections;
            take(
                &mut self.protocol,
                connections,
                place,
                bytes,
                now,
                &mut ledger,
            )
        }
    }

    #[test]
    fn replies_may_be_cut_anywhere_and_batches_have_their_own_times() {
        let mut bench = Bench::new(1);
        bench.sends(0, 2, ms(10));
        bench.sends(0, 3, ms(20));
        let bytes = replies(&[1, 2, 3, 4, 5]);
        let mut begin = 0;
        for end in [14, 31, 44, 75] {
            let taken = bench.receives(0, &bytes[begin..end], ms(30)).unwrap();
            begin += taken.bytes;
            assert_eq!(begin, end / 15 * 15);
        }
        assert_eq!(bench.tally.requests, 5);
        assert_eq!(bench.connections[0].in_flight, 0);
        assert!(bench.connections[0].batches.is_empty());
        let latency = bench.tally.latency();
        let near = |is: Duration, should: Duration| is >= should && is < should.mul_f64(1.002);
        assert!(
            near(latency.p50, MS * 10) && near(latency.max, MS * 20),
            "{latency:?}"
        );
        let unasked = bench.receives(0, &replies(&[6]), ms(30));
        assert_eq!(
            unasked.unwrap_err(),
            "15 bytes came that nothing had asked for"
        );
    }

    #[test]
    fn bytes_that_nothing_asked_for_are_counted_without_the_replies_before_them() {
        let mut bench = Bench::new(1);
        bench.sends(0, 1, ms(10));
        let error = bench.receives(0, &replies(&[1, 2, 3]), ms(30)).unwrap_err();
        assert_eq!(error, "30 bytes came that nothing had asked for");
    }

    #[test]
    fn what_is_still_to_come_exceeds_the_least_that_was_known_when_it_was_asked_for() {
        let mut bench = Bench::new(3);
        bench.sends(0, 1, ms(10));
        bench.receives(0, &replies(&[5]), ms(11)).unwrap();
        let (_, counter) = bench.connections[0].counter.unwrap();
        assert_eq!(
            least_floor(&bench.connections, counter),
            0,
            "nothing is to come"
        );
        bench.sends(0, 1, ms(12));
        assert_eq!(least_floor(&bench.connections, counter), 5 * 1024 + 1);
        bench.sends(1, 1, ms(13));
        assert_eq!(
            least_floor(&bench.connections, counter),
            0,
            "whose answers come to the second is not known yet"
        );
        bench.receives(1, &replies(&[6]), ms(14)).unwrap();
        bench.sends(1, 1, ms(15));
        assert_eq!(least_floor(&bench.connections, counter), 5 * 1024 + 1);
    }

    #[test]
    fn what_was_sent_before_measuring_began_is_checked_and_not_counted() {
        let mut bench = Bench::new(1);
        bench.sends(0, 2, ms(9));
        bench.sends(0, 1, ms(10));
        bench.receives(0, &replies(&[1, 2, 3]), ms(20)).unwrap();
        assert_eq!((bench.tally.requests, bench.checks.identities()), (1, 3));
    }

    #[test]
    fn an_identity_exceeds_all_that_came_anywhere_before_it_was_asked_for() {
        let mut bench = Bench::new(2);
        bench.sends(0, 1, ms(10));
        bench.sends(1, 1, ms(10));
        bench.receives(0, &replies(&[5]), ms(11)).unwrap();
        // This one was in flight together with that, so it may be smaller.
        bench.receives(1, &replies(&[3]), ms(12)).unwrap();
        bench.sends(1, 1, ms(13));
        let error = bench.receives(1, &replies(&[4]), ms(14)).unwrap_err();
        assert_eq!(
            error,
            "identity 4097 came after 5121, which was received before it was asked for"
        );
    }

    #[test]
    fn in_an_open_loop_latency_is_from_when_a_request_should_have_left() {
        let mut bench = Bench::new(1);
        bench.open = Some(Open::new(ms(0), ms(10), Amount::Requests(10), 1000, 1));
        // The server stood still: all left late, together, and were answered at once.
        bench.sends(0, 20, ms(109));
        let sequences: Vec<u64> = (1..=20).collect();
        bench.receives(0, &replies(&sequences), ms(110)).unwrap();
        assert_eq!(bench.tally.requests, 10);
        let latency = bench.tally.latency();
        assert!(
            latency.max >= MS * 100 && latency.max < MS * 101,
            "{latency:?}"
        );
        assert!(
            latency.p50 >= MS * 95 && latency.p50 < MS * 97,
            "{latency:?}"
        );
    }
}

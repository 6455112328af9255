//! Connecting to a server by its name: to the first of all its addresses that accepts, in the way of RFC 8305
//! ("Happy Eyeballs"). Attempts begin one after the other and go on side by side, so that an address that is dead or
//! silent costs a fraction of a second and not the whole time.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use super::{
    address::ServerAddress,
    clock::Deadline,
    error::{AddressFailure, FailureCause},
    limits::{ATTEMPT_DELAY, ATTEMPT_DELAY_MIN, ATTEMPT_THREADS_MAX, TIMEOUT_MIN},
    lookup::look_up,
};

/// The attempts of this process that have a thread.
static THREADS: Threads = Threads::new(ATTEMPT_THREADS_MAX);

/// Looks up a server's name and connects to the first of its addresses that accepts, all within `timeout`: as every
/// call of a [`Client`](crate::Client) does, for programs that speak to a server in their own way. A timeout of less
/// than 1 ms is taken as 1 ms. It makes no TLS handshake, whatever the address says.
///
/// # Errors
/// [`FailureCause::Lookup`], [`FailureCause::LookupTimeout`], [`FailureCause::NoAddress`] or
/// [`FailureCause::Connect`].
pub fn connect(server: &ServerAddress, timeout: Duration) -> Result<TcpStream, FailureCause> {
    connect_by(server, Deadline::within(timeout.max(TIMEOUT_MIN)))
}

/// The same, with a deadline that other steps share.
pub(crate) fn connect_by(
    server: &ServerAddress,
    deadline: Deadline,
) -> Result<TcpStream, FailureCause> {
    let addresses = look_up(server.host(), server.port(), deadline)?;
    race(&interleaved(&addresses), deadline, &THREADS)
}

/// The addresses in the order in which they are tried: the two families take turns, and that of the first address
/// begins (RFC 8305, section 4). Each address stands there once.
pub(crate) fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let of_first = |address: &SocketAddr| address.is_ipv6() == addresses[0].is_ipv6();
    let (first, other): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(of_first);
    let mut order: Vec<SocketAddr> = Vec::new();
    for turn in 0..addresses.len() {
        for family in [&first, &other] {
            if let Some(address) = family.get(turn).filter(|address| !order.contains(address)) {
                order.push(*address);
            }
        }
    }
    order
}

/// Connects to the first of the addresses that accepts. The next attempt begins when the last one has failed or has
/// taken its time, and the earlier ones go on meanwhile (RFC 8305, section 5).
fn race(
    addresses: &[SocketAddr],
    deadline: Deadline,
    threads: &'static Threads,
) -> Result<TcpStream, FailureCause> {
    if addresses.is_empty() {
        return Err(FailureCause::NoAddress);
    }
    let (sender, results) = mpsc::channel();
    let mut errors: Vec<Option<io::Error>> = addresses.iter().map(|_| None).collect();
    let mut ended = 0;
    let mut next = 0;
    // The first attempt is made even if the lookup took the whole time.
    while ended < addresses.len() && (next == 0 || deadline.left().is_some()) {
        if next < addresses.len() {
            attempt(next, addresses, deadline, threads, &sender);
            next += 1;
        }
        let left = deadline.left().unwrap_or_default();
        match results.recv_timeout(delay(left, addresses.len() - next)) {
            Ok((_, Ok(stream))) => return Ok(stream),
            Ok((index, Err(error))) => {
                errors[index] = Some(error);
                ended += 1;
            }
            // It is the turn of the next one, or the time is over.
            Err(_) => {}
        }
    }
    let tried = addresses.iter().zip(errors).take(next);
    let failures = tried.map(|(address, error)| AddressFailure {
        address: *address,
        error: error.unwrap_or_else(|| io::Error::new(ErrorKind::TimedOut, TOO_LATE)),
    });
    Err(FailureCause::Connect(failures.collect()))
}

/// What the standard library says of an attempt whose time is over.
pub(crate) const TOO_LATE: &str = "connection timed out";

/// How long to wait for a result while so many attempts have not begun. They share what is left, so that all of them
/// begin in time.
pub(crate) fn delay(left: Duration, others: usize) -> Duration {
    match u32::try_from(others) {
        Ok(0) => left,
        Ok(others) => (left / (others + 1)).clamp(ATTEMPT_DELAY_MIN, ATTEMPT_DELAY),
        Err(_) => ATTEMPT_DELAY_MIN,
    }
}

/// What came of the attempt at the address with this index.
type Outcome = (usize, io::Result<TcpStream>);

/// Begins the attempt at one of the addresses, and lets its outcome be sent. It has a thread of its own if there are
/// other addresses and a thread is free. Otherwise it is made at once, with an equal part of what is left.
fn attempt(
    index: usize,
    addresses: &[SocketAddr],
    deadline: Deadline,
    threads: &'static Threads,
    outcomes: &mpsc::Sender<Outcome>,
) {
    let address = addresses[index];
    let left = deadline.left().unwrap_or_default();
    if addresses.len() > 1
        && let Some(place) = threads.take()
    {
        let outcomes = outcomes.clone();
        let dial = move || {
            // If nobody waits for it any more, the connection is closed here.
            let _ = outcomes.send((index, connect_to(address, left)));
            drop(place);
        };
        let thread = thread::Builder::new().name("ipseity-dial".to_owned());
        if thread.spawn(dial).is_ok() {
            return;
        }
    }
    let parts = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
    // The receiver lives as long as the race.
    let _ = outcomes.send((index, connect_to(address, left / parts)));
}

fn connect_to(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout.max(TIMEOUT_MIN))?;
    not_oneself(stream.local_addr()?, stream.peer_addr()?)?;
    Ok(stream)
}

/// If nobody listens there, the kernel may choose the dialed port for our own end. Then the connection leads to ourselves.
pub(crate) fn not_oneself(own: SocketAddr, other: SocketAddr) -> io::Result<()> {
    match own == other {
        true => Err(ErrorKind::ConnectionRefused.into()),
        false => Ok(()),
    }
}

/// How many threads attempts have, and may have.
struct Threads {
    taken: AtomicUsize,
    most: usize,
}

impl Threads {
    const fn new(most: usize) -> Threads {
        let taken = AtomicUsize::new(0);
        Threads { taken, most }
    }

    /// The right to one more thread, if there is one. Dropping it gives it back.
    fn take(&'static self) -> Option<Place> {
        let one_more = |taken| (taken < self.most).then_some(taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok().then(|| Place(self))
    }
}

/// The right to a thread.
struct Place(&'static Threads);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use ipseity_harness::{nobody::Nobody, silent::Silent};

    use super::*;
    use crate::clock::Stopwatch;

    /// Far more than a race may take of its own, however busy the machine is.
    const LONG: Duration = Duration::from_secs(120);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn failures(result: Result<TcpStream, FailureCause>) -> Vec<(SocketAddr, ErrorKind)> {
        match result {
            Err(FailureCause::Connect(failures)) => failures
                .iter()
                .map(|failure| (failure.address, failure.error.kind()))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_families_take_turns_and_that_of_the_first_begins() {
        let order = |texts: &[&str]| {
            let addresses: Vec<SocketAddr> = texts.iter().map(|text| address(text)).collect();
            let order: Vec<String> = interleaved(&addresses)
                .iter()
                .map(ToString::to_string)
                .collect();
            order.join(" ")
        };
        assert_eq!(order(&[]), "");
        assert_eq!(order(&["1.1.1.1:1"]), "1.1.1.1:1");
        assert_eq!(
            order(&[
                "[::1]:1",
                "[::2]:1",
                "[::3]:1",
                "1.1.1.1:1",
                "[::2]:1",
                "1.1.1.2:1"
            ]),
            "[::1]:1 1.1.1.1:1 [::2]:1 1.1.1.2:1 [::3]:1"
        );
        assert_eq!(
            order(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]),
            "1.1.1.1:1 [::1]:1 [::2]:1"
        );
    }

    #[test]
    fn all_attempts_begin_within_the_time() {
        let ms = Duration::from_millis;
        for (left, others, waits) in [
            (2000, 0, 2000),
            (2000, 1, 250),
            (2000, 9, 200),
            (100, 1, 50),
            (100, 49, 10),
            (2000, usize::MAX, 10),
        ] {
            assert_eq!(delay(ms(left), others), ms(waits), "{left} {others}");
        }
    }

    #[test]
    fn silent_addresses_cost_the_delay_and_not_the_time() {
        let silent = Silent::new();
        let (_listener, good) = listener();
        let stopwatch = Stopwatch::start();
        let addresses = [silent.socket_address(), good];
        let stream = race(&addresses, Deadline::within(LONG), &THREADS).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        // Shared equally, the first alone would have a half of the time.
        assert!(stopwatch.elapsed() < LONG / 3);
        assert!(stopwatch.elapsed() >= ATTEMPT_DELAY);
    }

    #[test]
    fn an_address_that_answers_late_still_wins_while_the_others_are_dead() {
        let (silent, nobody) = (Silent::new(), Nobody::new());
        let late = silent.socket_address();
        let dead = address(&nobody.address());
        let opens = thread::spawn(move || {
            thread::sleep(2 * ATTEMPT_DELAY);
            silent.accept_again();
            silent
        });
        let stream = race(&[late, dead], Deadline::within(LONG), &THREADS).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), late);
        opens.join().unwrap();
    }

    #[test]
    fn without_a_free_thread_the_addresses_share_the_time() {
        static NONE: Threads = Threads::new(0);
        let (silent, nobody) = (Silent::new(), Nobody::new());
        let (_listener, good) = listener();
        let addresses = [silent.socket_address(), address(&nobody.address()), good];
        let limit = Duration::from_secs(6);
        let stream = race(&addresses, Deadline::within(limit), &NONE).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[test]
    fn when_no_address_accepts_each_is_told_with_its_reason() {
        let (silent, nobody) = (Silent::new(), Nobody::new());
        let addresses = [silent.socket_address(), address(&nobody.address())];
        // Long enough that the second attempt begins in time on a busy machine.
        let short = Deadline::within(Duration::from_secs(3));
        assert_eq!(
            failures(race(&addresses, short, &THREADS)),
            [
                (addresses[0], ErrorKind::TimedOut),
                (addresses[1], ErrorKind::ConnectionRefused)
            ]
        );
        // If all of them refuse, the end of the time is not waited for.
        let stopwatch = Stopwatch::start();
        let dead = Nobody::new();
        let addresses = [addresses[1], address(&dead.address())];
        let kinds = failures(race(&addresses, Deadline::within(LONG), &THREADS));
        assert_eq!(
            kinds,
            addresses.map(|address| (address, ErrorKind::ConnectionRefused))
        );
        assert!(stopwatch.elapsed() < LONG / 3);
        let none = race(&[], Deadline::within(LONG), &THREADS);
        assert!(matches!(none, Err(FailureCause::NoAddress)), "{none:?}");
    }

    #[test]
    fn threads_are_bounded_and_given_back() {
        static TWO: Threads = Threads::new(2);
        let (one, two) = (TWO.take(), TWO.take());
        assert!(one.is_some() && two.is_some());
        for _ in 0..2 {
            assert!(TWO.take().is_none());
        }
        drop(one);
        for _ in 0..2 {
            assert!(TWO.take().is_some());
        }
        drop(two);
    }
}

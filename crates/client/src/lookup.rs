//! Looking up names within a time limit. The system's resolver blocks and cannot be cancelled, so each lookup has a
//! thread of its own, and whoever asks gives up when its time is over. The thread ends by itself later.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use super::{clock::Deadline, error::FailureCause, limits::LOOKUPS_MAX};

/// The lookups of this process.
static LOOKUPS: Lookups = Lookups::new(LOOKUPS_MAX, ask_the_system);

/// The addresses that a host has, each with this port. A host that is an address already costs no lookup.
pub(super) fn look_up(
    host: &str,
    port: u16,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>, FailureCause> {
    let mut addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => LOOKUPS.look_up(host, deadline)?,
    };
    for address in &mut addresses {
        address.set_port(port);
    }
    Ok(addresses)
}

/// What a resolver says: the addresses of a host, with any port.
type Found = io::Result<Vec<SocketAddr>>;

/// What the system's resolver says. It takes as long as the system allows.
fn ask_the_system(host: &str) -> Found {
    (host, 0).to_socket_addrs().map(Iterator::collect)
}

/// Lookups that are under way.
struct Lookups {
    resolver: fn(&str) -> Found,
    /// How many may be under way at once.
    most: usize,
    /// Those that are under way, by host. All who wait for one share it.
    under_way: Mutex<BTreeMap<String, Arc<OnceLock<Found>>>>,
    /// Notified whenever one has ended.
    ended: Condvar,
}

impl Lookups {
    const fn new(most: usize, resolver: fn(&str) -> Found) -> Lookups {
        Lookups {
            resolver,
            most,
            under_way: Mutex::new(BTreeMap::new()),
            ended: Condvar::new(),
        }
    }

    fn look_up(
        &'static self,
        host: &str,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddr>, FailureCause> {
        let mut under_way = self.lock();
        let mut lookup = None;
        loop {
            if lookup.is_none() {
                let joined = self.join(host, &mut under_way);
                lookup = joined.map_err(FailureCause::Lookup)?;
            }
            if let Some(found) = lookup.as_ref().and_then(|lookup| lookup.get()) {
                return shared(found).map_err(FailureCause::Lookup);
            }
            let Some(left) = deadline.left() else {
                return Err(FailureCause::LookupTimeout(deadline.limit()));
            };
            let waited = self.ended.wait_timeout(under_way, left);
            under_way = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The lookup of this host that is under way, or a new one. `None` while there are too many.
    fn join(
        &'static self,
        host: &str,
        under_way: &mut BTreeMap<String, Arc<OnceLock<Found>>>,
    ) -> io::Result<Option<Arc<OnceLock<Found>>>> {
        if let Some(lookup) = under_way.get(host) {
            return Ok(Some(lookup.clone()));
        }
        if under_way.len() >= self.most {
            return Ok(None);
        }
        let lookup = Arc::new(OnceLock::new());
        let (answer, name) = (lookup.clone(), host.to_owned());
        thread::Builder::new()
            .name("ipseity-lookup".to_owned())
            .spawn(move || self.run(&name, &answer))?;
        under_way.insert(host.to_owned(), lookup.clone());
        Ok(Some(lookup))
    }

    /// The work of a lookup's thread.
    fn run(&self, host: &str, answer: &OnceLock<Found>) {
        let found = (self.resolver)(host);
        let mut under_way = self.lock();
        // It is empty: only this thread fills it.
        let _ = answer.set(found);
        under_way.remove(host);
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<OnceLock<Found>>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A copy for one of those who wait. An [`io::Error`] cannot be cloned.
fn shared(found: &Found) -> Found {
    match found {
        Ok(addresses) => Ok(addresses.clone()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;

    /// For what is expected to happen, so that a busy machine fails no test.
    const LONG: Duration = Duration::from_secs(60);

    /// For what is expected not to happen.
    const SHORT: Duration = Duration::from_millis(50);

    fn addresses() -> Vec<SocketAddr> {
        ["10.0.0.1:0", "[::1]:0"]
            .map(|text| text.parse().unwrap())
            .to_vec()
    }

    fn timed_out(result: &Result<Vec<SocketAddr>, FailureCause>) -> bool {
        matches!(result, Err(FailureCause::LookupTimeout(limit)) if *limit == SHORT)
    }

    #[test]
    fn an_address_is_not_looked_up() {
        for (host, shown) in [("10.0.0.1", "10.0.0.1:7"), ("fe80::1", "[fe80::1]:7")] {
            let found = look_up(host, 7, Deadline::within(Duration::ZERO)).unwrap();
            assert_eq!(found, [shown.parse().unwrap()]);
        }
    }

    #[test]
    fn a_name_that_the_system_knows_is_found_with_its_port() {
        let found = look_up("localhost", 7, Deadline::within(LONG)).unwrap();
        assert!(!found.is_empty());
        assert!(
            found
                .iter()
                .all(|found| found.ip().is_loopback() && found.port() == 7)
        );
    }

    #[test]
    fn what_the_resolver_says_is_what_everybody_gets() {
        static LOOKUPS: Lookups = Lookups::new(1, |host| match host {
            "a" => Ok(addresses()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        });
        let found = LOOKUPS.look_up("a", Deadline::within(LONG)).unwrap();
        assert_eq!(found, addresses());
        match LOOKUPS.look_up("b", Deadline::within(LONG)) {
            Err(FailureCause::Lookup(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
                assert_eq!(error.to_string(), "no such name");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_that_hangs_has_one_thread_however_often_it_is_asked_for() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static ANSWERS: Barrier = Barrier::new(2);
        static LOOKUPS: Lookups = Lookups::new(2, |_| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            ANSWERS.wait();
            Ok(addresses())
        });
        for _ in 0..3 {
            let result = LOOKUPS.look_up("a", Deadline::within(SHORT));
            assert!(timed_out(&result), "{result:?}");
        }
        // Whoever waits when the answer comes gets it.
        let waiting = [(); 2].map(|()| {
            thread::spawn(|| {
                let found = LOOKUPS.look_up("a", Deadline::within(LONG));
                found.unwrap()
            })
        });
        // Both have joined when three own the lookup beside the thread: they and the table.
        while LOOKUPS
            .lock()
            .get("a")
            .is_some_and(|lookup| Arc::strong_count(lookup) < 4)
        {
            thread::yield_now();
        }
        ANSWERS.wait();
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), addresses());
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        // It has ended, so the next call asks anew.
        assert!(LOOKUPS.lock().is_empty());
    }

    #[test]
    fn lookups_beyond_the_bound_wait_for_one_to_end() {
        static ANSWERS: Barrier = Barrier::new(2);
        static LOOKUPS: Lookups = Lookups::new(1, |host| {
            if host == "slow" {
                ANSWERS.wait();
            }
            Ok(addresses())
        });
        let slow = LOOKUPS.look_up("slow", Deadline::within(SHORT));
        assert!(timed_out(&slow), "{slow:?}");
        let other = LOOKUPS.look_up("other", Deadline::within(SHORT));
        assert!(timed_out(&other), "{other:?}");
        assert_eq!(LOOKUPS.lock().len(), 1);
        let waiting = thread::spawn(|| LOOKUPS.look_up("other", Deadline::within(LONG)));
        ANSWERS.wait();
        assert_eq!(waiting.join().unwrap().unwrap(), addresses());
    }
}

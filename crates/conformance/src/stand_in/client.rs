//! The client of the stand-in: simple, slow, and by the rules of docs/clients.md, but for one fault.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    failure::{Failure, code_in_words},
    faults::has,
    link::{Event, Link},
    text::Address,
};
use crate::vectors::action;

/// The longest wait between two looks at whether a call was cancelled.
const TICK: Duration = Duration::from_millis(10);

/// How long the attempts at two addresses of a name are apart.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

pub(super) struct Options {
    pub(super) cluster: String,
    pub(super) connect: Duration,
    pub(super) reply: Duration,
    pub(super) call: Duration,
    pub(super) idle_max: Duration,
    pub(super) block_age_max: Duration,
    pub(super) block_max: u32,
    pub(super) first: usize,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) identities: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) refills: AtomicU64,
    pub(super) waits: AtomicU64,
    pub(super) dropped: AtomicU64,
}

/// Ends a call from outside.
#[derive(Default)]
pub(super) struct Cancel(AtomicBool);

impl Cancel {
    pub(super) fn cancel(&self) {
        self.0.store(true, Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

pub(super) struct Client {
    servers: Vec<Address>,
    pub(super) options: Options,
    says_hello: bool,
    state: Mutex<State>,
    is_closed: AtomicBool,
    one_at_a_time: Mutex<()>,
    pub(super) counters: Counters,
    /// The pids whose server said that they are in dispute.
    pub(super) lost: Mutex<Vec<u64>>,
}

struct State {
    current: usize,
    link: Option<(usize, Arc<Link>)>,
    /// An attempt to connect that has outlived its call, and its server.
    dial: Option<(usize, mpsc::Receiver<Dialed>)>,
    /// How often each server has failed in a row, and until when it is avoided.
    avoided: Vec<(u32, Option<Instant>)>,
    newest: u64,
}

type Dialed = Result<TcpStream, String>;

/// Why one server gave nothing.
enum Try {
    Elsewhere {
        cause: String,
        is_hopeless: bool,
    },
    /// The time of the call was over before there was a connection.
    Late,
    End(Failure),
}

impl Client {
    pub(super) fn new(servers: Vec<Address>, options: Options, is_source: bool) -> Client {
        Client {
            state: Mutex::new(State {
                current: options.first,
                link: None,
                dial: None,
                avoided: vec![(0, None); servers.len()],
                newest: 0,
            }),
            says_hello: is_source || !options.cluster.is_empty(),
            servers,
            options,
            is_closed: AtomicBool::new(false),
            one_at_a_time: Mutex::new(()),
            counters: Counters::default(),
            lost: Mutex::default(),
        }
    }

    pub(super) fn newest(&self) -> Option<u64> {
        Some(self.state.lock().unwrap().newest).filter(|newest| *newest > 0)
    }

    pub(super) fn observe(&self, identity: u64) {
        if !has("forgets-observed") {
            let mut state = self.state.lock().unwrap();
            state.newest = state.newest.max(identity);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed) && !has("serves-when-closed")
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Relaxed);
        if let Some((_, link)) = self.state.lock().unwrap().link.take()
            && !has("closes-late")
        {
            link.end(Event::Closed);
        }
    }

    /// The most that one request may ask for now, as far as that is known.
    pub(super) fn count_max(&self) -> Option<u32> {
        self.state.lock().unwrap().link.as_ref()?.1.count_max()
    }

    /// Asks for identities.
    pub(super) fn call(&self, count: u32, cancel: &Cancel) -> Result<(u64, u32), Failure> {
        let _turn = has("asks-one-at-a-time").then(|| self.one_at_a_time.lock().unwrap());
        let time = if has("never-ends") {
            Duration::from_secs(3600)
        } else {
            self.options.call
        };
        let until = Instant::now() + time;
        let mut causes: Vec<Option<String>> = vec![None; self.servers.len()];
        let mut wait_max = Duration::from_millis(50);
        loop {
            let mut can_help = has("waits-in-vain");
            for index in self.order() {
                match self.try_server(index, count, until, cancel) {
                    Ok(done) => return Ok(done),
                    Err(Try::End(failure)) => return Err(failure),
                    Err(Try::Elsewhere { cause, is_hopeless }) => {
                        can_help |= !is_hopeless;
                        causes[index] = Some(cause);
                        self.fail(index);
                    }
                    Err(Try::Late) => {
                        causes[index].get_or_insert("no connection in time".to_owned());
                        if has("connects-in-call-time") {
                            self.fail(index);
                        }
                        return Err(self.unavailable(&causes));
                    }
                }
                if Instant::now() >= until {
                    return Err(self.unavailable(&causes));
                }
            }
            if !can_help || has("tries-one-round") {
                return Err(self.unavailable(&causes));
            }
            let wait = wait_max.mul_f64(fastrand::f64());
            wait_max = (wait_max * 2).min(Duration::from_millis(400));
            let wait_until = (Instant::now() + wait).min(until);
            while Instant::now() < wait_until {
                self.check_going(cancel).map_err(|failure| *failure)?;
                thread::sleep(TICK.min(wait_until.saturating_duration_since(Instant::now())));
            }
            if Instant::now() >= until {
                return Err(self.unavailable(&causes));
            }
        }
    }

    fn check_going(&self, cancel: &Cancel) -> Result<(), Box<Failure>> {
        if cancel.is_set() {
            return Err(Box::new(Failure::of("cancelled", "the call was cancelled")));
        }
        match self.is_closed() && !has("closes-late") {
            true => Err(Box::new(Failure::closed())),
            false => Ok(()),
        }
    }

    /// The servers in the order in which they are tried.
    fn order(&self) -> Vec<usize> {
        let state = self.state.lock().unwrap();
        let count = self.servers.len();
        let start = if has("goes-back") || has("avoids-nobody") {
            self.options.first
        } else {
            state.current
        };
        let mut order: Vec<usize> = (0..count).map(|step| (start + step) % count).collect();
        let now = Instant::now();
        if has("avoids-for-ever") {
            order.retain(|index| state.avoided[*index].0 == 0);
        } else if !has("avoids-nobody") {
            order.sort_by_key(|index| state.avoided[*index].1.filter(|until| *until > now));
        }
        if let Some((dialed, _)) = state.dial {
            order.sort_by_key(|index| *index != dialed);
        }
        order
    }

    fn fail(&self, index: usize) {
        self.counters.failures.fetch_add(1, Relaxed);
        let mut state = self.state.lock().unwrap();
        let (times, until) = &mut state.avoided[index];
        let doublings = if has("avoids-as-short") {
            0
        } else {
            (*times).min(5)
        };
        let time = Duration::from_secs(1 << doublings).min(Duration::from_secs(30));
        *times += 1;
        *until = Some(Instant::now() + time);
    }

    fn unavailable(&self, causes: &[Option<String>]) -> Failure {
        let pairs = self.servers.iter().zip(causes);
        let failures: Vec<(String, String)> = pairs
            .filter_map(|(server, cause)| {
                let cause = cause.as_ref()?;
                let cause = if has("says-no-reason") {
                    "it did not work"
                } else {
                    cause
                };
                Some((server.given.clone(), cause.to_owned()))
            })
            .take(if has("lists-one-failure") {
                1
            } else {
                usize::MAX
            })
            .collect();
        Failure::unavailable(&failures)
    }

    /// The error of a call whose time is over before anything has come.
    pub(super) fn late(&self) -> Failure {
        let cause = || Some("no block came in time".to_owned());
        let causes: Vec<Option<String>> = self.servers.iter().map(|_| cause()).collect();
        self.unavailable(&causes)
    }

    fn try_server(
        &self,
        index: usize,
        count: u32,
        until: Instant,
        cancel: &Cancel,
    ) -> Result<(u64, u32), Try> {
        let mut is_second = false;
        loop {
            self.check_going(cancel)
                .map_err(|failure| Try::End(*failure))?;
            let (sender, events) = mpsc::channel();
            let mut state = self.state.lock().unwrap();
            let link = self.link(&mut state, index, until)?;
            if link.is_full() && Instant::now() < until && !has("asks-without-bound") {
                drop(state);
                thread::sleep(TICK);
                continue;
            }
            let was_used = link.was_used();
            let asked = link.ask(count, state.newest, sender);
            drop(state);
            self.counters.requests.fetch_add(1, Relaxed);
            // It may have been closed since the last look. One that closes late must not see it here by chance.
            if !has("closes-late") {
                self.check_going(cancel)
                    .map_err(|failure| Try::End(*failure))?;
            }
            let event = match asked {
                Ok(id) => self.wait(&link, id, &events, until, cancel),
                Err(event) => event,
            };
            let goes_on = match &event {
                Event::Identities(..) | Event::Cancelled => true,
                Event::Error(error) => {
                    (32..64).contains(&error.code) && action(error.code) != "elsewhere"
                }
                _ => false,
            };
            if !goes_on {
                self.leave(&link, &event);
            }
            if let Event::Broken {
                in_reply: false, ..
            } = event
                && (was_used && !is_second || has("tries-idle-for-ever"))
                && !has("fails-after-idle")
                && Instant::now() < until
            {
                is_second = true;
                continue;
            }
            return self.judge(index, event, &link);
        }
    }

    /// A connection to this server: the open one, or a new one.
    fn link(&self, state: &mut State, index: usize, until: Instant) -> Result<Arc<Link>, Try> {
        let idle_max = if has("uses-idle-for-ever") {
            Duration::MAX
        } else {
            self.options.idle_max
        };
        let kept = state.link.as_ref().filter(|(other, link)| {
            *other == index && link.used().elapsed() < idle_max && !has("connects-each-time")
        });
        if let Some((_, link)) = kept {
            return Ok(Arc::clone(link));
        }
        if let Some((_, old)) = state.link.take() {
            let cause = "it is not used any more".to_owned();
            old.end(Event::Broken {
                cause,
                in_reply: false,
            });
        }
        let elsewhere = |cause: String| Try::Elsewhere {
            cause,
            is_hopeless: false,
        };
        let under_way = state.dial.take().filter(|(other, _)| *other == index);
        let dial = under_way.map_or_else(|| self.dial(index), |(_, dial)| dial);
        let stream = loop {
            match dial.recv_timeout(TICK) {
                Ok(dialed) => break dialed.map_err(elsewhere)?,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(elsewhere("the attempt has ended".to_owned()));
                }
                Err(_) if self.is_closed() => return Err(Try::End(Failure::closed())),
                Err(_) if Instant::now() < until => {}
                Err(_) if has("connects-in-call-time") => return Err(Try::Late),
                Err(_) => {
                    state.dial = Some((index, dial));
                    return Err(Try::Late);
                }
            }
        };
        let _ = stream.set_nodelay(true);
        self.counters.connects.fetch_add(1, Relaxed);
        let link = Link::new(stream, &self.options.cluster, self.says_hello);
        state.link = Some((index, Arc::clone(&link)));
        Ok(link)
    }

    /// Connects on a thread of its own, with its own time.
    fn dial(&self, index: usize) -> mpsc::Receiver<Dialed> {
        let (sender, dial) = mpsc::channel();
        let (server, time) = (&self.servers[index], self.options.connect);
        let (host, port) = (server.host.clone(), server.port);
        thread::spawn(move || {
            let addresses = (host.as_str(), port).to_socket_addrs();
            let dialed = addresses
                .map_err(|error| error.to_string())
                .and_then(|addresses| race(&addresses.collect::<Vec<_>>(), time));
            // Nobody may wait for it any more, and then it is closed.
            let _ = sender.send(dialed);
        });
        dial
    }

    fn wait(
        &self,
        link: &Link,
        id: u64,
        events: &mpsc::Receiver<Event>,
        until: Instant,
        cancel: &Cancel,
    ) -> Event {
        let reply = if has("waits-for-no-reply") {
            Duration::from_millis(50)
        } else {
            self.options.reply
        };
        loop {
            if let Ok(event) = events.recv_timeout(TICK) {
                return event;
            }
            if cancel.is_set() {
                link.forget(id);
                return Event::Cancelled;
            }
            let now = Instant::now();
            if now >= until || now >= link.heard() + reply {
                // A reply is late: a part of it may have come.
                let cause = "no reply in time".to_owned();
                return Event::Broken {
                    cause,
                    in_reply: true,
                };
            }
        }
    }

    /// The connection is not used any more.
    fn leave(&self, link: &Arc<Link>, event: &Event) {
        let mut state = self.state.lock().unwrap();
        if state
            .link
            .as_ref()
            .is_some_and(|(_, current)| Arc::ptr_eq(current, link))
        {
            state.link = None;
        }
        drop(state);
        let cause = match event {
            Event::Broken { cause, .. } => cause.clone(),
            _ => "the connection has failed".to_owned(),
        };
        link.end(Event::Broken {
            cause,
            in_reply: true,
        });
    }

    fn judge(&self, index: usize, event: Event, link: &Link) -> Result<(u64, u32), Try> {
        let server = match has("names-no-server") {
            true => "somebody",
            false => self.servers[index].given.as_str(),
        };
        let elsewhere =
            |cause: String, is_hopeless: bool| Err(Try::Elsewhere { cause, is_hopeless });
        let end = |failure: Failure| Err(Try::End(failure));
        let answered = |state: &mut State| {
            state.current = index;
            state.avoided[index] = (0, None);
        };
        match event {
            Event::Identities(first, count) => {
                let mut state = self.state.lock().unwrap();
                answered(&mut state);
                state.newest = state.newest.max(first + 1024 * u64::from(count.max(1) - 1));
                Ok((first, count))
            }
            Event::Error(error) => {
                if [37, 38].contains(&error.code) {
                    self.lost.lock().unwrap().extend(link.pid());
                }
                let what = match action(error.code) {
                    _ if has("goes-elsewhere-always") => "elsewhere",
                    "elsewhere" if has("goes-elsewhere-never") => "refused",
                    what => what,
                };
                match what {
                    "elsewhere" => {
                        let code = code_in_words(error.code);
                        let text = format!("refused with {code}: {}", error.message);
                        elsewhere(text, [6, 7, 8, 34].contains(&error.code))
                    }
                    "wrongCluster" => end(Failure::wrong_cluster(server, &error.message)),
                    _ => {
                        answered(&mut self.state.lock().unwrap());
                        end(Failure::refused(server, error.code, &error.message))
                    }
                }
            }
            Event::Violation(text) if has("goes-elsewhere-after-violation") => {
                elsewhere(text, false)
            }
            Event::Violation(text) => {
                let advice = "check that it is an Ipseity server, and its version";
                let text = format!("{server} breaks the protocol: {text} ({advice})");
                end(Failure::of("protocol", &text))
            }
            Event::WrongCluster(name) => {
                let expected = &self.options.cluster;
                let said = format!(
                    "this server is of cluster {name:?}, and the client expects {expected:?}"
                );
                end(Failure::wrong_cluster(server, &said))
            }
            Event::Broken { cause, .. } => elsewhere(cause, false),
            Event::Cancelled => end(Failure::of("cancelled", "the call was cancelled")),
            Event::Closed => end(Failure::closed()),
        }
    }
}

/// Connects to the first of the addresses that accepts. Attempts begin one after the other and go on side by side.
fn race(addresses: &[SocketAddr], time: Duration) -> Dialed {
    let end = Instant::now() + time;
    let left = || end.saturating_duration_since(Instant::now());
    let count = if has("tries-first-address") {
        1
    } else {
        addresses.len()
    };
    let (sender, results) = mpsc::channel();
    let mut cause = "the name has no address that answers".to_owned();
    let mut failed = 0;
    for (place, address) in addresses.iter().take(count).enumerate() {
        let (sender, address) = (sender.clone(), *address);
        let time = left().max(Duration::from_millis(1));
        thread::spawn(move || {
            let tried = TcpStream::connect_timeout(&address, time);
            let told = |error| format!("cannot connect to {address}: {error}");
            // Nobody may wait for it any more, and then it is closed.
            let _ = sender.send(tried.map_err(told));
        });
        let others = u32::try_from(count - place - 1).unwrap_or(u32::MAX);
        let share = left() / (others + 1);
        let wait = match others {
            0 => left(),
            _ if has("shares-time-of-addresses") => share,
            _ if has("hurries-no-address") => ATTEMPT_DELAY,
            _ => share.clamp(TICK, ATTEMPT_DELAY),
        };
        let until = Instant::now() + wait;
        // The last one is waited for until all have failed.
        while failed <= place {
            let wait = until.saturating_duration_since(Instant::now());
            match results.recv_timeout(wait.min(TICK)) {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    cause = error;
                    failed += 1;
                    if others > 0 {
                        break;
                    }
                }
                Err(_) if wait > TICK => {}
                Err(_) => break,
            }
        }
        if left().is_zero() {
            break;
        }
    }
    Err(cause)
}

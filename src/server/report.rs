//! Reports: the actor decides what is reported; the addresses and words are added here. Reports that others can cause
//! are logged only as far as [`telling`](super::telling) lets them through.

use log::{error, info, warn};

use super::{
    Exit, Server,
    accepting::is_due,
    objecting::at_least,
    telling::{LeftOut, Line, Whom},
};
use ipseity_core::{
    actor::Report,
    identity::{Pid, Sequence},
    ids::{ConnectionId, Link},
    limits::ERROR_TEXT_BYTES_MAX,
    timer::Timer,
    words::{ErrorCode, Standing, StoreKind},
};

use crate::edge::Edge;

/// The peer that objects to this server, and what it has said.
#[derive(Debug)]
pub(super) struct Objector {
    pub(super) link: Link,
    pub(super) peer: String,
    /// `None` while it has not said who it is: an objection can be the first that a dialed peer says.
    pub(super) pid: Option<Pid>,
    pub(super) reason: String,
}

impl<E: Edge> Server<E> {
    pub(super) fn report(&mut self, report: &Report) {
        match report {
            Report::PeerUp {
                link,
                pid,
                sequence,
            } => {
                if self.may_tell(Line::PeerUp, self.whom(*link)) {
                    let name = self.link_name(*link);
                    info!(
                        event = "peerUp", peer:% = name, pid = pid.get();
                        "peer {name} is up: pid {pid}, sequence {sequence}"
                    );
                }
            }
            Report::PeerDown { link, pid } => self.tell_of_loss(*link, *pid),
            // The other end of that connection is this server, and knows the name that leads here.
            Report::Refused { error, .. } if error.code == ErrorCode::Oneself.get() => {}
            Report::Refused { from, error } if error.code == ErrorCode::NotAPeer.get() => {
                self.tell_of_claim(*from);
                self.look_up_again();
            }
            Report::Refused { from, error } => {
                if self.may_tell(Line::Refused, self.host(*from)) {
                    let address = self.transport.address(*from);
                    let reason = &error.message;
                    warn!(
                        event = "refused", address:% = address, reason:% = reason;
                        "refused peer {address}: {reason}"
                    );
                }
            }
            Report::LateWord { from } => {
                if self.may_tell(Line::Refused, self.host(*from)) {
                    let address = self.transport.address(*from);
                    info!(
                        event = "lateWord", address:% = address;
                        "the word of an earlier start of this state directory has come from {address}: it comes late, or \
                         a copy of this directory is running"
                    );
                }
            }
            Report::RoundRefused { link, error } => {
                if self.may_tell(Line::RoundRefused, self.whom(*link)) {
                    let name = self.link_name(*link);
                    let reason = &error.message;
                    warn!(
                        event = "roundRefused", peer:% = name, reason:% = reason;
                        "not synchronized with peer {name}: {reason}"
                    );
                }
            }
            Report::AdvanceRefused { from, error } => {
                if self.may_tell(Line::AdvanceRefused, self.host(*from)) {
                    let address = self.transport.address(*from);
                    let reason = &error.message;
                    warn!(
                        event = "advanceRefused", address:% = address, reason:% = reason;
                        "refused an advance that the client at {address} asked for: {reason}"
                    );
                }
            }
            Report::Raised {
                link,
                by,
                to,
                untold,
            } => self.tell_of_raise(*link, *by, *to, *untold),
            Report::Advanced {
                from,
                above,
                sequence,
            } => {
                if self.may_tell(Line::Advanced, self.host(*from)) {
                    let address = self.transport.address(*from);
                    warn!(
                        event = "advanced", address:% = address;
                        "an operator at {address} has advanced this server above sequence {above}; it was at {sequence}"
                    );
                }
            }
            Report::Forgot {
                from,
                pid,
                sequence,
            } => {
                if self.may_tell(Line::Forgot, self.host(*from)) {
                    let address = self.transport.address(*from);
                    warn!(
                        event = "forgot", pid = pid.get(), address:% = address;
                        "an operator at {address} has made this server forget pid {pid}, which was at sequence \
                         {sequence}"
                    );
                }
            }
            Report::ForgotClaims { from, pid, claims } => {
                if self.may_tell(Line::Forgot, self.host(*from)) {
                    let address = self.transport.address(*from);
                    let whose = pid.map_or("all pids".to_owned(), |pid| format!("pid {pid}"));
                    warn!(
                        event = "forgotClaims", pid = pid.map(Pid::get), address:% = address;
                        "an operator at {address} has made this server forget lives that never served: {claims} of \
                         {whose}"
                    );
                }
            }
            Report::Objected {
                standing,
                above,
                by,
                why,
            } => {
                self.note_objector(*by, why);
                error!(
                    event = "objected", reason:% = why;
                    "NOT HANDING OUT IDENTITIES ({standing}), a peer objects: {why}{}{}{}",
                    least_unless_said(why, *above),
                    self.word_too_low(*standing),
                    self.way_out_in_etcd()
                );
            }
            Report::ObjectedStill { by, why } => self.note_objector(*by, why),
            Report::ObjectedHigher { above, by, why } => {
                self.note_objector(*by, why);
                if self.may_tell(Line::ObjectedHigher, Whom::Nobody) {
                    tell_of_higher(*above);
                }
            }
            Report::Overruled { link, pid, above } => {
                if self.may_tell(Line::Overruled, self.whom(*link)) {
                    let name = self.link_name(*link);
                    warn!(
                        event = "overruled", peer:% = name, pid = pid.get();
                        "pid {pid} at {name} goes on above sequence {above} by its operator's word"
                    );
                }
            }
            Report::Joined { answered } => self.tell_of_joining(*answered),
            Report::JoinWaits => {
                warn!(
                    event = "joinWaits";
                    "too few peers have answered yet, and --join asks for more: not handing out identities until \
                     they do"
                );
            }
            Report::GaveUp { why } => {
                error!(event = "gaveUp", reason:% = why; "NOT STARTED: {why}");
            }
            Report::Exhaustion { percent, remaining } => {
                warn!(
                    event = "exhaustion";
                    "{percent} % of the sequence is used up: {remaining} sequences are left, and it never wraps"
                );
            }
            Report::Exhausted => {
                error!(
                    event = "exhausted";
                    "THE SEQUENCE IS USED UP: no identity is left, every request for one is refused, and no \
                     restart changes that; clients need another cluster (see docs/operations.md)"
                );
            }
            // The thread that calls etcd says what is wrong.
            Report::WriteLate { .. } | Report::WriteOver { .. }
                if self.edge.store().kind == StoreKind::Etcd => {}
            Report::WriteLate { took, waiting } => {
                if self.may_tell(Line::SlowWrite, Whom::Nobody) {
                    warn!(
                        event = "writeLate";
                        "a write to the state directory has taken {} ms so far: look at the disk (requests that \
                         wait for it: {waiting})",
                        took.as_millis()
                    );
                }
            }
            Report::WriteOver { took, waited } => {
                if self.may_tell(Line::SlowWrite, Whom::Nobody) {
                    warn!(
                        event = "writeOver";
                        "the slow write to the state directory is over after {} ms (requests that waited for it: \
                         {waited})",
                        took.as_millis()
                    );
                }
            }
            Report::StorageFailed => {
                error!(
                    event = "storageFailed";
                    "the state directory cannot be written: exiting; the next start reads what the disk \
                     really holds, and nothing is handed out twice"
                );
                self.begin_failing(Exit::StorageFailed);
            }
            // The thread of the store that has found it has said who has the pid now.
            Report::Fenced => self.begin_failing(Exit::Fenced),
            Report::InDoubt => {
                if self.may_tell(Line::SlowWrite, Whom::Nobody) {
                    warn!(
                        event = "leaseLost";
                        "etcd has not confirmed in time that this server still has its pid, so another one may take it: \
                         requests wait until etcd answers (--on-doubt)"
                    );
                }
            }
            Report::Confirmed { took } => {
                if self.may_tell(Line::SlowWrite, Whom::Nobody) {
                    info!(
                        event = "leaseRenewed";
                        "etcd has confirmed that this server has its pid; nothing was handed out for {} ms",
                        took.as_millis()
                    );
                }
            }
            Report::StoreAway { waiting } => {
                if self.may_tell(Line::SlowWrite, Whom::Nobody) {
                    warn!(
                        event = "storeAway";
                        "etcd does not answer, and nothing more may be handed out until it does: requests that have \
                         waited for too long ({waiting} now) are refused with storeUnavailable; clients ask other servers"
                    );
                }
            }
            Report::StoreBack { took } => {
                if self.may_tell(Line::SlowWrite, Whom::Nobody) {
                    info!(
                        event = "storeBack";
                        "etcd answers again: this server hands out identities; it refused requests for {} ms",
                        took.as_millis()
                    );
                }
            }
        }
    }

    /// Whether a line that others can cause may be logged now.
    pub(super) fn may_tell(&mut self, line: Line, whom: Whom) -> bool {
        let may_tell = self.telling.may_tell(line, whom, self.now);
        if let (false, Some(due_at)) = (may_tell, self.telling.due_at()) {
            self.timers.set(Timer::Tell, due_at);
        }
        may_tell
    }

    /// Logs how many lines were left out. Called when a minute is over and when the server stops.
    pub(super) fn tell_what_was_left_out(&mut self) {
        self.timers.stop(Timer::Tell);
        for LeftOut { line, count, most } in self.telling.take_left_out(self.now) {
            let about = most.and_then(|(whom, most)| {
                let whom = self.whom_name(&whom)?;
                Some(format!(" ({most} about {whom})"))
            });
            warn!(
                event = "linesLeftOut";
                "{}: and {count} more like it in the last minute{}",
                line.name(),
                about.unwrap_or_default()
            );
            if line == Line::ObjectedHigher {
                // The last line of this kind must have the number that counts.
                tell_of_higher(self.actor.objected_above());
            }
        }
    }

    /// Logs that somebody says that it is a peer and is not believed, at most once a minute.
    fn tell_of_claim(&mut self, from: ConnectionId) {
        if is_due(&mut self.claim_told_at, self.now) {
            let address = self.transport.address(from);
            if self.transport.is_sealed(from) {
                warn!(
                    event = "claimRefused", address:% = address;
                    "refused {address}, which says that it is a peer: its certificate does not let it in as one; if it is \
                     one, give it a certificate that `ipseity-cli cert peer` has made"
                );
                return;
            }
            warn!(
                event = "claimRefused", address:% = address;
                "refused {address}, which says that it is a peer: no name in --peer has its address, and --peer-from does \
                 not allow it; if it is one, name it with --peer or allow its address with --peer-from"
            );
        }
    }

    fn whom_name(&self, whom: &Whom) -> Option<String> {
        match whom {
            Whom::Name(name) => Some(format!("peer {}", self.peers.text(*name))),
            Whom::Named(peer) => Some(format!("peer {}", self.peers.title(*peer))),
            Whom::Pid(pid) => Some(format!("pid {pid}")),
            Whom::Host(host) => Some(host.clone()),
            Whom::Nobody => None,
        }
    }

    /// The peer that a line about a link refers to.
    pub(super) fn whom(&self, link: Link) -> Whom {
        match (link, self.link_pid(link)) {
            (Link::Dialed(peer), _) => Whom::Named(peer),
            (Link::Accepted(_), Some(pid)) => self.whom_of(pid),
            (Link::Accepted(connection), None) => self.host(connection),
        }
    }

    /// The peer that a line about a pid refers to.
    pub(super) fn whom_of(&self, pid: Pid) -> Whom {
        self.peers.named(pid).map_or(Whom::Pid(pid), Whom::Named)
    }

    fn host(&self, connection: ConnectionId) -> Whom {
        Whom::Host(self.host_name(connection))
    }

    /// The host that a connection comes from. The port is left out because the next connection has another one.
    pub(super) fn host_name(&self, connection: ConnectionId) -> String {
        let address = self.transport.address(connection);
        let host = address.rsplit_once(':').map(|(host, _)| host.to_owned());
        host.unwrap_or(address)
    }

    fn tell_of_joining(&self, answered: usize) {
        let asked = self.peers.expected().max(answered);
        match (answered, asked) {
            (_, 0) => info!(
                event = "joinedAlone";
                "--peer names only this server itself: handing out identities"
            ),
            (0, _) if !self.waits_for_peers => warn!(
                event = "joinedUnasked";
                "--join-timeout 0 waits for no peer: handing out identities until a peer objects"
            ),
            (0, _) => warn!(
                event = "joinedUnheard";
                "asked the peers, 0 of {asked} answered: handing out identities, though nobody could object; check \
                 --peer, and whether those servers run"
            ),
            _ => info!(
                event = "joined";
                "asked the peers, {answered} of {asked} answered: handing out identities"
            ),
        }
    }

    fn tell_of_raise(&self, link: Link, by: u64, to: Sequence, untold: u64) {
        let (peer, address, who) = match self.actor.links().contains_key(&link) {
            true => {
                let name = self.link_name(link);
                let who = format!("peer {name}");
                (Some(name), None, who)
            }
            false => {
                let address = self.link_address(link);
                let who = format!("the client at {address}");
                (None, Some(address), who)
            }
        };
        let more = match untold {
            0 => String::new(),
            untold => format!(" (and {untold} more like this were not logged)"),
        };
        info!(
            event = "raised", peer = peer.as_deref(), address = address.as_deref();
            "{who} raises the sequence by {by}, to {to}{more}"
        );
    }

    /// The pid that the peer at the other end of a link has told.
    pub(super) fn link_pid(&self, link: Link) -> Option<Pid> {
        self.actor.links().get(&link)?.pid
    }

    /// Where the other end of a link is. Unlike its name it tells apart two servers that use one pid.
    pub(super) fn link_address(&self, link: Link) -> String {
        match link {
            Link::Dialed(peer) => self.peers.title(peer),
            Link::Accepted(connection) => self.transport.address(connection),
        }
    }

    /// The name that was given for the peer at the other end of a link, or its address if it has no name.
    pub(super) fn link_name(&self, link: Link) -> String {
        match (
            link,
            self.link_pid(link).and_then(|pid| self.peers.named(pid)),
        ) {
            (Link::Accepted(_), Some(peer)) => self.peers.title(peer),
            _ => self.link_address(link),
        }
    }

    /// Notes who objects to this server, for the status: the link may be gone when somebody asks.
    fn note_objector(&mut self, by: Link, why: &str) {
        let cut = why.floor_char_boundary(ERROR_TEXT_BYTES_MAX);
        self.objector = Some(Objector {
            link: by,
            peer: self.link_name(by),
            pid: self.link_pid(by),
            reason: why[..cut].to_owned(),
        });
    }

    /// That the word of the operator with which this directory was started, or this etcd was restored, is too low for the
    /// peer that objects. No word counts against a conflict.
    fn word_too_low(&self, standing: Standing) -> String {
        let own = self.actor.config();
        let said = own.recovered;
        if said == Sequence::ZERO || standing != Standing::Stale {
            return String::new();
        }
        match own.fences {
            false => format!(" (--recover-above {said} IS TOO LOW)"),
            true => format!(" (`ipseity-cli pids epoch --above {said}` WAS TOO LOW)"),
        }
    }

    /// The peer does not know that the state is in etcd.
    fn way_out_in_etcd(&self) -> &'static str {
        match self.actor.config().fences {
            false => "",
            true => {
                " (the state of this server is in etcd, so --recover-above does not count: start it again, or, if etcd \
                 was restored or has lost keys, do what docs/etcd.md says about that)"
            }
        }
    }
}

/// What `--recover-above` must be at least, unless the peer has said it or nothing is known.
fn least_unless_said(why: &str, above: Sequence) -> String {
    match at_least(above) {
        least if why.contains(&least) => String::new(),
        _ => format!(" (SEQUENCE: at least {above})"),
    }
}

fn tell_of_higher(above: Sequence) {
    error!(
        event = "objectedHigher";
        "NOT HANDING OUT IDENTITIES: a peer now says that --recover-above has to be at least {above}"
    );
}

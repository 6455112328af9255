//! The judge. It reads every byte that a server writes, knows what every client has asked, and looks at the
//! disks. It checks each reply against the promises at the moment when the reply is written.

mod frames;
mod http;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use byteorder::{BigEndian, ByteOrder};
use ipseity_core::{
    identity::{Identity, Pid, Sequence},
    limits::COUNT_LIMIT_MAX,
    time::Instant,
    words::{ErrorCode, Stage},
};
use ipseity_frames::Kind;

pub use self::frames::sync_fields;
use super::{
    accepted::Lives,
    advances::Advances,
    breaches::{Breaches, Giver},
    client::Floor,
    coverage::Coverage,
    etcd_plan::EtcdPlan,
    plan::{Plan, ServerPlan},
    sealed::Opened,
};
use crate::world::{EndId, Wiretap};

/// What is known about a pid, over all servers that used it.
#[derive(Debug, Default)]
pub struct PidState {
    /// The highest sequence that left for a client.
    pub left: u64,
    /// The highest sequence that was told to anybody. It was durable, so no later life begins below it.
    pub told: u64,
    /// First and last sequence of every block that left, and the life that handed it out.
    blocks: BTreeMap<u64, (u64, u64)>,
    /// What the other servers know of its lives.
    pub known: Lives,
    /// The highest boot of its lives.
    boot_max: u64,
    /// A directory of it was lost or rolled back, or what an operator had said rotted in it. If not, only its servers that were added later are at fault.
    pub has_lost: bool,
    /// An operator broke the precondition of uniqueness, and no operator has vouched for the state since.
    pub is_breached: bool,
    pub was_breached: bool,
    /// An operator has vouched for a state of it.
    pub is_vouched: bool,
    /// One of its lives has told a peer that an operator has vouched for it.
    has_overruled: bool,
    /// The only breach is a second server on its directory.
    pub is_shared: bool,
    /// The blocks that left since then: first and last sequence, and the grant that allowed them.
    shared: Vec<(u64, u64, Grant)>,
    /// Pairs of grants under which the same identities were handed out.
    repeated: BTreeSet<(Grant, Grant)>,
}

/// A ceiling of one life: the one of its start, or one of its raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    life: u64,
    number: u32,
}

/// If two lives repeat each other's identities and both go on, this is how often one may still raise its ceiling.
const RAISES_BEHIND_MAX: u32 = 1;

/// What is known about one life of a server: the process that runs on a machine.
#[derive(Debug, Default, Clone)]
pub struct Life {
    pub pid: u16,
    pub boot: u64,
    pub session: u64,
    pub incarnation: u128,
    /// The sequence at which its life began.
    pub start: u64,
    /// How far others have raised it.
    pub advances: Advances,
    /// The sequence at which it began, or a higher one to which an operator has raised it since.
    pub base_hard: u64,
    /// The highest sequence that any peer has told it, in this life or before.
    pub told: u64,
    /// The number of identities that clients have ever requested.
    pub asked: u64,
    /// How much the budgets can have let in since it started, and how much of that can be from clients.
    pub budget: u64,
    pub budget_of_clients: u64,
    /// It is the first start of its directory.
    pub is_first: bool,
    /// Its disk has failed: it absorbs nothing more.
    pub disk_failed: bool,
    /// Somebody has told it to stop.
    pub is_objected: bool,
    /// It has told somebody that it is over.
    pub is_over: bool,
    /// How far it has come, as it has told last.
    pub stage: Option<Stage>,
    /// So many servers must have confirmed its claim before it hands out anything.
    pub votes_needed: usize,
    /// It has somebody to ask before it hands out anything.
    pub asks: bool,
    /// It waits for its peers until then, unless one of them answers.
    pub joins_until: Option<Instant>,
    /// How far it may hand out: the ceiling on the medium, if this boot wrote it.
    pub allowed: u64,
    /// The number of this life among all lives.
    pub life: u64,
    /// How often its ceiling was raised.
    pub grants: u32,
    /// It has handed out something.
    pub has_given: bool,
    /// Its pid is in etcd.
    pub is_in_etcd: bool,
    /// Once a later life of its pid has handed out something, it hands out nothing more.
    pub keeps_order: bool,
    /// Since when etcd has ended its lease, so that another life may take its pid. A moment later than that, if it does not
    /// run then.
    pub let_go_at: Option<Instant>,
    /// The highest sequence that it has handed out.
    pub left: u64,
}

impl Life {
    /// What stands for the life of a server that has never had one.
    fn not_begun(server: &ServerPlan) -> Life {
        Life {
            pid: server.pid,
            life: u64::MAX,
            ..Life::default()
        }
    }

    /// Whether it may take back what it has told and not handed out.
    pub fn may_go_back(&self) -> bool {
        self.disk_failed || self.is_in_etcd
    }
}

/// What a server wrote on one end of a connection, as far as it matters.
#[derive(Debug, Default)]
struct EndState {
    /// Takes the messages out of TLS, if it is spoken there.
    opened: Opened,
    /// How many bytes were written there.
    written: usize,
    partial: Vec<u8>,
    /// The last sequence that was handed out there.
    last: u64,
    /// The last sequence that was told there, in a syncRequest or a syncReply.
    told: u64,
    asked: Option<Announcement>,
    /// The sequence that was told there in a syncReply, and the pid and the boot of the life that told it.
    answered: Option<(u64, u16, u64)>,
    /// When a life claimed its pid there.
    claimed_at: Option<Instant>,
    /// A syncReply, an objection or an overrule was written there.
    is_peer: bool,
    /// How many bytes were written there until the first syncRequest was complete.
    first_sync: Option<usize>,
    /// How many whole frames were written there.
    frames: u64,
    /// An error was written there that ends the connection.
    is_told: bool,
    /// And it was that there are too many, since somebody looked.
    refused: Option<Refusal>,
}

/// A connection was refused because there are too many.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub end: EndId,
    /// Too many from its address.
    pub is_for_address: bool,
    /// Nothing was said on it before.
    pub is_first: bool,
}

/// What the error says when it is about the address.
const FOR_ADDRESS: &[u8] = b"from one address";

/// What a server tells its peers about itself in a syncRequest or a syncReply.
#[derive(Clone, Copy, Debug)]
pub struct Announcement {
    pub incarnation: u128,
    pub boot: u64,
    pub session: u64,
    pub sequence: u64,
    pub ceiling: u64,
    /// How far the life has come.
    pub stage: Stage,
    pub at: Instant,
}

/// A life that has claimed its pid has told a server that it gives up.
#[derive(Clone, Copy, Debug)]
pub struct Withdrawn {
    /// The server that was told so.
    pub by: usize,
    /// The life that gives up.
    pub session: u64,
    /// When it claimed its pid on that connection.
    pub claimed_at: Instant,
}

/// A server has confirmed the claim of a life.
#[derive(Clone, Copy, Debug)]
pub struct Confirmed {
    pub by: usize,
    pub newcomer: usize,
    pub session: u64,
    /// When it claimed its pid.
    pub claimed_at: Instant,
    /// The life of that pid for which it had done so before.
    pub before: Option<u64>,
}

/// See the head of this file.
pub struct Judge {
    pub pids: BTreeMap<u16, PidState>,
    pub lives: Vec<Life>,
    ends: HashMap<EndId, EndState>,
    count_max: u32,
    /// Whether no server ever refuses the sequence of a peer.
    pub never_refuses_peers: bool,
    /// Operators may have servers forget lives.
    may_forget: bool,
    /// The first promise that was broken.
    pub violation: Option<String>,
    pub coverage: Coverage,
    /// A digest of every byte that any server wrote.
    pub digest: u64,
    /// The present moment.
    pub now: Instant,
    /// Messages of servers, for somebody to send again.
    pub remembered: Vec<Vec<u8>>,
    /// Servers whose disk has failed, and when that process began.
    pub failed: BTreeSet<(usize, Instant)>,
    /// Connections that were refused, and that were given identities for the first time, since somebody looked.
    pub refused: Vec<Refusal>,
    pub served: Vec<EndId>,
    /// Connections that were closed to make room. What was on its way to them is not answered.
    pub made_room: BTreeSet<EndId>,
    /// The server with the first number has answered a server of the second pid, which then announced this.
    pub knows: BTreeMap<(usize, u16), Announcement>,
    /// Claims that were confirmed since somebody looked.
    pub confirmed: Vec<Confirmed>,
    /// Claims that were withdrawn since somebody looked.
    pub withdrawn: Vec<Withdrawn>,
    pub breaches: Breaches,
    /// How many servers the cluster was planned with. Those that were added later are second ones.
    servers: usize,
}

impl Judge {
    pub fn new(plan: &Plan) -> Judge {
        let pids = plan
            .servers
            .iter()
            .map(|server| server.pid)
            .chain(plan.etcd.iter().flat_map(EtcdPlan::pids))
            .map(|pid| (pid, PidState::default()));
        Judge {
            pids: pids.collect(),
            lives: match plan.etcd {
                None => Vec::new(),
                // Who claims a pid can be talked to before it has one.
                Some(_) => plan.servers.iter().map(Life::not_begun).collect(),
            },
            ends: HashMap::new(),
            count_max: plan.count_max,
            never_refuses_peers: !plan.faults.has(super::fault::Fault::Budget)
                && !plan.faults.has(super::fault::Fault::Exhaustion),
            may_forget: plan.faults.has(super::fault::Fault::Operator),
            violation: None,
            coverage: Coverage::default(),
            digest: 0xcbf2_9ce4_8422_2325,
            now: Instant::START,
            remembered: Vec::new(),
            failed: BTreeSet::new(),
            refused: Vec::new(),
            served: Vec::new(),
            made_room: BTreeSet::new(),
            knows: BTreeMap::new(),
            confirmed: Vec::new(),
            withdrawn: Vec::new(),
            breaches: Breaches::default(),
            servers: plan.servers.len(),
        }
    }

    /// The highest sequence that anybody has seen.
    pub fn highest(&self) -> u64 {
        let seen = self.pids.values().map(|pid| pid.left.max(pid.told));
        seen.max().unwrap_or_default()
    }

    /// Notes the first promise that was broken.
    pub fn note_violation(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    pub fn pid(&mut self, pid: u16) -> &mut PidState {
        self.pids.get_mut(&pid).expect("every pid has its entry")
    }

    /// Whether a life is in etcd, and a later one of its pid has begun.
    pub fn is_superseded(&self, life: &Life) -> bool {
        life.is_in_etcd && self.is_followed(life.pid, life.boot)
    }

    /// Whether a later life of a pid has begun.
    fn is_followed(&self, pid: u16, boot: u64) -> bool {
        boot < self.pids[&pid].boot_max
    }

    pub fn is_breached(&self, pid: u16) -> bool {
        self.pids[&pid].is_breached
    }

    /// Whether the present life of a server has said that it serves.
    pub fn serves(&self, server: usize) -> bool {
        let life = &self.lives[server];
        self.pids[&life.pid].known.has_served(life.life)
    }

    /// From now on the precondition of uniqueness is broken for a pid.
    pub fn breach(&mut self, pid: u16) {
        let state = self.pid(pid);
        state.is_breached = true;
        state.was_breached = true;
    }

    /// An operator has said after a restore where a pid begins. All its lives are over, and their boots may be used again.
    pub fn vouch_in_etcd(&mut self, pid: u16) {
        let state = self.pid(pid);
        (state.is_breached, state.is_vouched) = (false, true);
        state.boot_max = 0;
    }

    /// The directory of a server was lost or rolled back, and with it what the server remembered of others.
    pub fn lose(&mut self, server: usize, pid: u16) {
        self.breach(pid);
        self.breaches.begin(server, pid);
        self.pid(pid).has_lost = true;
        self.forget(server);
    }

    /// A server may have lost what it has heard of others since its last save.
    pub fn forget(&mut self, server: usize) {
        for state in self.pids.values_mut() {
            state.known.forget(server);
        }
    }

    /// From now on two servers use the directory of a pid.
    pub fn share(&mut self, pid: u16) {
        let is_whole = !self.is_breached(pid);
        self.breach(pid);
        self.pid(pid).is_shared = is_whole;
    }

    /// A server begins a life.
    pub fn begin(&mut self, server: usize, life: Life, is_clean: bool, skipped: u64) {
        if self.lives.len() <= server {
            self.lives.resize(server + 1, Life::default());
        }
        let before = &self.lives[server];
        let state = &self.pids[&life.pid];
        // The answer to a claim may come when a later life has the pid. What is above its start is its own all the same.
        if !state.is_breached && !self.is_superseded(&life) {
            let least = state.left.max(state.told);
            if life.start < least {
                let (pid, start) = (life.pid, life.start);
                self.note_violation(|| {
                    format!(
                        "a start of pid {pid} begins at {start}, and {least} was handed out or told before"
                    )
                });
            } else if !state.was_breached
                && before.boot >= life.boot
                && before.incarnation == life.incarnation
            {
                let (was, is) = (before.boot, life.boot);
                self.note_violation(|| format!("boot {is} comes after boot {was}"));
            } else if is_clean && skipped > 0 {
                self.note_violation(|| format!("a start after a clean stop skips {skipped}"));
            }
        }
        let number = self.coverage.lives;
        let state = self.pid(life.pid);
        state.known.begin(number, server, life.boot);
        state.boot_max = state.boot_max.max(life.boot);
        let before = &self.lives[server];
        self.lives[server] = Life {
            advances: before.advances.begin(life.start),
            base_hard: life.start,
            told: before.told,
            asked: before.asked,
            life: number,
            ..life
        };
        self.knows.retain(|(who, _), _| *who != server);
        self.coverage.lives += 1;
    }

    /// The lower bound for the identities of a client that asks now.
    pub fn floor(&self, server: usize, began: Instant) -> Floor {
        let life = &self.lives[server];
        let state = &self.pids[&life.pid];
        match state.is_breached {
            true => Floor::default(),
            // Another life may have its pid by now. And what it has told, but not handed out, it takes back if etcd does not
            // answer for long.
            false if life.is_in_etcd => Floor {
                left: life.left,
                told: 0,
                absorbed: life.advances.absorbed(),
                began,
                asked_at: self.now,
            },
            false => Floor {
                left: state.left,
                told: state.told,
                absorbed: life.advances.absorbed(),
                began,
                asked_at: self.now,
            },
        }
    }

    /// The value of a floor when the answer arrives. `began` is when the process of that server began.
    pub fn least(&self, server: usize, floor: &Floor, began: Instant) -> u64 {
        let life = &self.lives[server];
        if self.pids[&life.pid].is_breached {
            0
        } else {
            // If the disk has failed, a server takes back the sequence that it told. The answer may still have been
            // on its way when the process was gone. The next process is checked against its own start.
            let has_failed = life.disk_failed || self.failed.contains(&(server, floor.began));
            let told = if has_failed { 0 } else { floor.told };
            let is_same = floor.began == began;
            let absorbed = if is_same { floor.absorbed } else { 0 };
            floor.left.max(told).max(absorbed)
        }
    }

    /// Whether a life hands out what it was asked for after etcd had ended its lease. What it had handed out before may
    /// still come late.
    pub fn hands_out_in_doubt(&self, server: usize, floor: &Floor, began: Instant) -> bool {
        let life = &self.lives[server];
        let is_later = |let_go_at| floor.asked_at >= let_go_at;
        life.keeps_order && floor.began == began && life.let_go_at.is_some_and(is_later)
    }

    /// Someone asks a server for identities.
    pub fn asked(&mut self, server: usize, count: u32, after: u64) {
        let life = &mut self.lives[server];
        if count <= self.count_max {
            life.asked += u64::from(count);
        }
        if let Some(after) = Identity::from_u64(after) {
            life.advances.say(after.sequence().get());
        }
        self.coverage.identities += u64::from(count.min(COUNT_LIMIT_MAX));
    }

    /// Somebody tells a server a sequence: an operator who lets it go on above it, or a peer.
    pub fn told(&mut self, server: usize, sequence: u64, is_operator: bool) {
        let life = &mut self.lives[server];
        if sequence <= Sequence::MAX.get() {
            life.advances.say(sequence);
            let most = match is_operator {
                true => &mut life.base_hard,
                false => &mut life.told,
            };
            *most = sequence.max(*most);
        }
    }

    /// Reads what a server has written in a turn. `other` finds the other end and the server that holds it, and `is_http`
    /// says whether the connection has come to the listener for HTTP.
    pub fn listen(
        &mut self,
        wiretap: &mut Wiretap,
        other: impl Fn(EndId) -> Option<(EndId, Option<usize>)>,
        is_http: impl Fn(EndId) -> bool,
    ) {
        let mut at = 0;
        for (server, end, length) in std::mem::take(&mut wiretap.parts) {
            let bytes = &wiretap.bytes[at..at + length];
            at += length;
            self.digest = digest(self.digest, end, bytes);
            let mut state = self.ends.remove(&end).unwrap_or_default();
            state.written += bytes.len();
            let mut room = Vec::new();
            let bytes = state.opened.read(bytes, &mut room);
            let was_served = state.last > 0;
            let partial = std::mem::take(&mut state.partial);
            let joined;
            let rest = match partial.is_empty() {
                true => bytes,
                false => {
                    joined = [&partial, bytes].concat();
                    &joined
                }
            };
            let rest = match is_http(end) {
                true => self.answers_by_http(server, &mut state, rest),
                false => self.frames(server, &mut state, rest, || other(end)),
            };
            state.partial = rest.to_vec();
            self.refused.extend(
                state
                    .refused
                    .take()
                    .map(|refusal| Refusal { end, ..refusal }),
            );
            if state.last > 0 && !was_served {
                self.served.push(end);
            }
            self.ends.insert(end, state);
        }
        wiretap.bytes.clear();
    }

    /// Identities leave a server.
    fn leaves(&mut self, server: usize, end: &mut EndState, first: u64, count: u64) {
        let life = &mut self.lives[server];
        let pid = life.pid;
        let most = life.advances.base(life.allowed) + life.asked;
        let life = &self.lives[server];
        let Some(identity) = Identity::from_u64(first) else {
            return self.note_violation(|| {
                format!("server {server} hands out {first}, which is not an identity")
            });
        };
        let low = identity.sequence().get();
        let high = low + count - 1;
        let shown = || format!("server {server} of pid {pid} hands out {low} to {high}");
        let budgeted = life
            .base_hard
            .saturating_add(life.asked)
            .saturating_add(life.budget);
        // Peers cannot have raised it above the sequences that they told it.
        let of_clients = life
            .base_hard
            .max(life.told)
            .saturating_add(life.asked)
            .saturating_add(life.budget_of_clients);
        let budgeted = budgeted.min(of_clients);
        let (allowed, start) = (life.allowed, life.start);
        if life.joins_until.is_some_and(|until| self.now < until) {
            return self.note_violation(|| format!("{}, and no peer has answered it yet", shown()));
        }
        if identity.pid() != Pid::new(pid).unwrap() || high > Sequence::MAX.get() {
            return self.note_violation(|| format!("{}, as {first}", shown()));
        }
        if high > allowed {
            return self
                .note_violation(|| format!("{}, and {allowed} is durable of this boot", shown()));
        }
        if low <= start {
            return self.note_violation(|| format!("{}, and began at {start}", shown()));
        }
        if high > most {
            return self
                .note_violation(|| format!("{}, and nothing brought it above {most}", shown()));
        }
        if high > budgeted {
            return self
                .note_violation(|| format!("{}, and its budgets end at {budgeted}", shown()));
        }
        if low <= end.last {
            let last = end.last;
            return self.note_violation(|| format!("{} on a connection that had {last}", shown()));
        }
        end.last = high;
        self.lives[server].has_given = true;
        let known = &self.pids[&pid].known;
        let life = &self.lives[server];
        let giver = Giver {
            server,
            pid,
            life: life.life,
            above: life.start,
            upto: life.allowed,
            asks: life.asks,
        };
        self.breaches.hands_out(&giver, known);
        self.repeats(server, low, high);
        let life = self.lives[server].life;
        if self.pid(pid).known.voters(life).len() < self.lives[server].votes_needed {
            return self.note_violation(|| format!("{}, and too few have accepted it", shown()));
        }
        let (keeps_order, boot) = (self.lives[server].keeps_order, self.lives[server].boot);
        self.lives[server].left = self.lives[server].left.max(high);
        let state = self.pid(pid);
        state.left = state.left.max(high);
        let above = state.blocks.range(high + 1..).next();
        let later = above.filter(|(_, (_, by))| keeps_order && *by != life);
        if let Some((later, _)) = later {
            let later = *later;
            return self.note_violation(|| {
                format!(
                    "{} in boot {boot}, after a later life had handed out {later}",
                    shown()
                )
            });
        }
        let before = state.blocks.range(..=high).next_back();
        let overlap = before
            .filter(|(_, (last, _))| *last >= low)
            .map(|(a, (b, earlier))| (*a, *b, *earlier));
        if let Some((a, b, earlier)) = overlap {
            if !state.is_breached || earlier == life {
                return self
                    .note_violation(|| format!("{}, and {a} to {b} had been handed out", shown()));
            }
            self.repeats_another(server, earlier, low.max(a));
        }
        self.pid(pid).blocks.insert(low, (high, life));
    }

    /// A life hands out again what another life has handed out. It may only if those that have accepted it could not
    /// know that.
    fn repeats_another(&mut self, server: usize, earlier: u64, sequence: u64) {
        let Life { pid, life, .. } = self.lives[server];
        let state = &self.pids[&pid];
        // Who refuses the sequence of a peer does not believe its ceiling either.
        if state.is_shared || !self.never_refuses_peers {
            return;
        }
        match state.known.judge(life, earlier, sequence) {
            Ok(cause) => self.coverage.repeat(cause),
            Err(by) => self.note_violation(|| {
                format!(
                    "server {server} of pid {pid} hands out {sequence} again, and server {by} knew better when it accepted it"
                )
            }),
        }
    }

    /// Two servers on one directory may repeat the identities of one grant, but this must not go on: one of the two
    /// gets at most one more raise.
    fn repeats(&mut self, server: usize, low: u64, high: u64) {
        let Life {
            pid, life, grants, ..
        } = self.lives[server];
        if !self.pids[&pid].is_shared {
            return;
        }
        let raises = |grant: &Grant| {
            let state = self.lives.iter().find(|state| state.life == grant.life);
            // A life that is over makes no more raises.
            state.map_or(0, |state| state.grants.saturating_sub(grant.number))
        };
        let own = Grant {
            life,
            number: grants,
        };
        let goes_on = |grant: &Grant| raises(grant) > RAISES_BEHIND_MAX;
        let state = &self.pids[&pid];
        let before = state
            .shared
            .iter()
            .filter(|(from, to, grant)| grant.life != life && *from <= high && low <= *to);
        let found: Vec<(Grant, Grant)> = before.map(|(_, _, grant)| (*grant, own)).collect();
        let both = state.repeated.iter().chain(&found);
        let too_long = both
            .copied()
            .find(|(one, other)| goes_on(one) && goes_on(other));
        if let Some((one, other)) = too_long {
            self.note_violation(|| {
                format!("two servers of pid {pid} on one directory both go on after {one:?} and {other:?}")
            });
        }
        let state = self.pid(pid);
        state.shared.push((low, high, own));
        state.repeated.extend(found);
    }

    /// Whether identities have left on this end.
    pub fn has_served(&self, end: EndId) -> bool {
        self.ends.get(&end).is_some_and(|state| state.last > 0)
    }

    /// Whether the other side was told why the connection ends, or a part of that.
    pub fn is_told(&self, end: EndId) -> bool {
        let state = self.ends.get(&end);
        state.is_some_and(|state| state.is_told || !state.partial.is_empty())
    }

    /// Whether the server has begun to write there what it says last, an error that closes or an answer by HTTP, and has
    /// not come to its end.
    pub fn is_told_in_part(&self, end: EndId, is_http: bool) -> bool {
        let written = self.ends.get(&end).map(|state| &*state.partial);
        written.is_some_and(|partial| !partial.is_empty() && (is_http || begins_to_close(partial)))
    }

    /// Whether a peer was answered there.
    pub fn is_peer(&self, end: EndId) -> bool {
        self.ends.get(&end).is_some_and(|state| state.is_peer)
    }

    /// Whether the server speaks TLS there.
    pub fn speaks_tls(&self, end: EndId) -> bool {
        self.ends
            .get(&end)
            .is_some_and(|state| state.opened.is_tls())
    }

    /// How many bytes were written there until the first syncRequest was complete.
    pub fn first_sync(&self, end: EndId) -> Option<usize> {
        self.ends.get(&end)?.first_sync
    }
}

/// Whether these bytes may be the beginning of an error that closes.
fn begins_to_close(partial: &[u8]) -> bool {
    let is_error = |kind: &u8| Kind::from_u8(*kind) == Some(Kind::ErrorReply);
    let closes =
        |code| ErrorCode::from_u16(BigEndian::read_u16(code)).is_none_or(ErrorCode::closes);
    partial.get(2).is_none_or(is_error) && partial.get(3..5).is_none_or(closes)
}

fn digest(mut digest: u64, end: EndId, bytes: &[u8]) -> u64 {
    let mut eat = |word: u64| digest = (digest.rotate_left(5) ^ word).wrapping_mul(0x100_0000_01b3);
    eat(end as u64);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        eat(BigEndian::read_u64(word));
    }
    for byte in words.remainder() {
        eat(u64::from(*byte));
    }
    digest
}

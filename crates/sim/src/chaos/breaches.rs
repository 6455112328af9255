//! What becomes of the mistakes of operators. Each start from a directory that was copied, lost or rolled back, or that is
//! new under a pid that another server has, is one. Later starts of that directory belong to it.

use std::collections::BTreeMap;

use super::accepted::Lives;

/// What became of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It was refused before it handed out anything.
    Refused,
    /// It ended, or waits, without having handed out anything, and nobody refused it.
    HandedOutNothing,
    /// An operator had vouched for the state, and was right.
    VouchedFor,
    /// No identity that it could hand out could be handed out by another life.
    ApartFromOthers,
    /// It could repeat identities, and operators were told.
    Noticed,
    /// It could repeat identities and nobody was told.
    Unnoticed(Cause),
}

/// Why a mistake went unnoticed: how its first life that handed out came to do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It names nobody and remembers nobody, so it asked nobody.
    AsksNobody,
    /// Nobody had confirmed that it may have the pid when it began to hand out.
    ReachedNobody,
    /// Those that confirmed it had never heard of another life of the pid, or had lost that.
    NobodyRemembers,
    /// Those that confirmed it knew another life, which was over or did not answer.
    OtherIsSilent,
}

#[derive(Debug)]
struct Breach {
    pid: u16,
    /// Its operators, or those of the others that it concerns, were told.
    is_told: bool,
    is_vouched: bool,
    cause: Option<Cause>,
}

/// A life that hands out something. It began above a sequence, and its ceiling is another one.
#[derive(Clone, Copy, Debug)]
pub struct Giver {
    pub server: usize,
    pub pid: u16,
    pub life: u64,
    pub above: u64,
    pub upto: u64,
    /// It has somebody to ask.
    pub asks: bool,
}

/// What a life that has handed out something could hand out: what lies above its start, up to its last ceiling.
#[derive(Debug)]
struct Span {
    pid: u16,
    breach: Option<usize>,
    above: u64,
    upto: u64,
}

impl Span {
    fn overlaps(&self, other: &Span) -> bool {
        self.pid == other.pid
            && self.breach != other.breach
            && self.above.max(other.above) < self.upto.min(other.upto)
    }
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Breaches {
    breaches: Vec<Breach>,
    /// The mistake that the directory of a server comes from.
    of_server: BTreeMap<usize, usize>,
    /// By the number of the life.
    spans: BTreeMap<u64, Span>,
}

impl Breaches {
    /// A server gets a directory that it must not have.
    pub fn begin(&mut self, server: usize, pid: u16) {
        self.of_server.insert(server, self.breaches.len());
        self.breaches.push(Breach {
            pid,
            is_told: false,
            is_vouched: false,
            cause: None,
        });
    }

    fn of(&mut self, server: usize) -> Option<&mut Breach> {
        self.breaches.get_mut(*self.of_server.get(&server)?)
    }

    /// An operator vouches for the directory of a server.
    pub fn vouch(&mut self, server: usize) {
        if let Some(breach) = self.of(server) {
            breach.is_vouched = true;
        }
    }

    /// Operators are told that something is wrong with this server. If it has its own directory, that is about all others
    /// that have handed out something.
    pub fn tell(&mut self, server: usize, pid: u16) {
        if let Some(breach) = self.of(server) {
            breach.is_told = true;
            return;
        }
        let has_served = |breach: &&mut Breach| breach.pid == pid && breach.cause.is_some();
        for breach in self.breaches.iter_mut().filter(has_served) {
            breach.is_told = true;
        }
    }

    /// A life hands out something.
    pub fn hands_out(&mut self, life: &Giver, known: &Lives) {
        let breach = self.of_server.get(&life.server).copied();
        let span = self.spans.entry(life.life).or_insert(Span {
            pid: life.pid,
            breach,
            above: life.above,
            upto: 0,
        });
        span.upto = span.upto.max(life.upto);
        if let Some(breach) = self.of(life.server)
            && breach.cause.is_none()
        {
            breach.cause = Some(match known.confirmed_by(life.life) {
                _ if !life.asks => Cause::AsksNobody,
                None => Cause::ReachedNobody,
                Some(false) => Cause::NobodyRemembers,
                Some(true) => Cause::OtherIsSilent,
            });
        }
    }

    /// What became of each.
    pub fn fates(&self) -> impl Iterator<Item = Fate> {
        self.breaches.iter().enumerate().map(|(index, breach)| {
            let overlaps = || {
                let mut own = self
                    .spans
                    .values()
                    .filter(|span| span.breach == Some(index));
                own.any(|own| self.spans.values().any(|other| own.overlaps(other)))
            };
            match breach.cause {
                _ if breach.is_vouched => Fate::VouchedFor,
                None if breach.is_told => Fate::Refused,
                None => Fate::HandedOutNothing,
                Some(_) if breach.is_told => Fate::Noticed,
                Some(_) if !overlaps() => Fate::ApartFromOthers,
                Some(cause) => Fate::Unnoticed(cause),
            }
        })
    }
}

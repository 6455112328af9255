//! The judge of lives that share pids: what each may hand out, and what was handed out.

use std::{collections::BTreeMap, time::Duration};

use ipseity_core::{
    identity::{Pid, Sequence},
    time::Instant,
};
use ipseity_pids::Tenure;

/// In the last part of the time in which all is well, every pid hands out.
const SERVED_WITHIN: Duration = Duration::from_secs(10);

/// What was handed out, and what may be.
#[derive(Default)]
pub struct Judge {
    /// No lease ends before its time.
    leases_hold: bool,
    /// The allowances of all lives of a pid, by the session: above what, and up to what.
    allowances: BTreeMap<(Pid, u64), (Sequence, Sequence)>,
    /// What was handed out: the last sequence of each block, with what it is above.
    blocks: BTreeMap<(Pid, Sequence), Sequence>,
    /// The highest sequence of a pid, and when the pid handed out last.
    pub newest: BTreeMap<Pid, (Sequence, Instant)>,
}

impl Judge {
    pub fn new(leases_hold: bool) -> Judge {
        Judge {
            leases_hold,
            ..Judge::default()
        }
    }

    pub fn begin(&mut self, tenure: &Tenure) -> Result<(), String> {
        let life = (tenure.pid, tenure.session());
        if self.allowances.contains_key(&life) {
            return Err(format!("pid {}: two lives have one session", tenure.pid));
        }
        self.allowances.insert(life, (tenure.above, tenure.above));
        self.allow(tenure)
    }

    /// A ceiling was acknowledged.
    pub fn allow(&mut self, tenure: &Tenure) -> Result<(), String> {
        let life = (tenure.pid, tenure.session());
        let own = (tenure.above, tenure.ceiling());
        self.allowances.insert(life, own);
        let of_pid = (tenure.pid, 0)..=(tenure.pid, u64::MAX);
        let overlaps = |other: &(Sequence, Sequence)| own.0 < other.1 && other.0 < own.1;
        match self
            .allowances
            .range(of_pid)
            .find(|(other, allowance)| **other != life && overlaps(allowance))
        {
            None => Ok(()),
            Some((_, other)) => Err(format!(
                "pid {}: two lives may hand out the same, above {} up to {} and above {} up to {}",
                tenure.pid, own.0, own.1, other.0, other.1
            )),
        }
    }

    /// A life hands out nothing more.
    pub fn stop(&mut self, tenure: &Tenure, handed_out: Sequence) {
        let life = (tenure.pid, tenure.session());
        self.allowances.insert(life, (tenure.above, handed_out));
    }

    /// All lives are over.
    pub fn end_all(&mut self) {
        for ((pid, _), (above, upto)) in &mut self.allowances {
            let newest = self.newest.get(pid).map_or(*above, |(newest, _)| *newest);
            *upto = newest.clamp(*above, *upto);
        }
    }

    pub fn hand_out(
        &mut self,
        tenure: &Tenure,
        above: Sequence,
        last: Sequence,
        waits_in_doubt: bool,
        now: Instant,
    ) -> Result<(), String> {
        let pid = tenure.pid;
        let first = above.saturating_add(1);
        let next = self.blocks.range((pid, first)..).next();
        if let Some(((other, _), other_above)) = next
            && *other == pid
            && *other_above < last
        {
            return Err(format!("pid {pid}: {first} to {last} was handed out twice"));
        }
        let newest = self.newest.entry(pid).or_insert((Sequence::ZERO, now));
        if waits_in_doubt && self.leases_hold && newest.0 > above {
            return Err(format!(
                "pid {pid}: {first} was handed out after {}, in a life that waits while in doubt",
                newest.0
            ));
        }
        *newest = (newest.0.max(last), now);
        self.blocks.insert((pid, last), above);
        Ok(())
    }

    /// In the last part of a run, in which all is well, every pid hands out.
    pub fn judge_liveness(
        &self,
        pids: impl Iterator<Item = Pid>,
        end: Instant,
    ) -> Result<(), String> {
        for pid in pids {
            let served = self.newest.get(&pid);
            if served.is_none_or(|(_, at)| end.since(*at) > SERVED_WITHIN) {
                return Err(format!(
                    "pid {pid}: nothing is handed out although all is well"
                ));
            }
        }
        Ok(())
    }
}

//! What a start would find in etcd and take, for somebody who only asks (`--check`).
//!
//! It does what a claim does, with the same code, up to the first call that would change something.

use ipseity_core::identity::{Pid, Sequence};
use ipseity_etcd::{Call, Procedure as _, Step, World as _};
use ipseity_pids::{NoClaim, Survey, Waiting, Wanted, floor, free};

use super::{PidStoreOptions, link::Link, why_not};

/// What a start would find and take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidProspect {
    /// What it would take.
    pub takes: Takes,
    /// How many pids have owners.
    pub owned: usize,
}

/// What a start would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing is there of the cluster: the start makes it, with this pid or with any of those that it may take.
    First,
    /// This pid, which was used before.
    Used {
        /// The pid.
        pid: Pid,
        /// Its boot, if no restore lies in between.
        boot: Option<u64>,
        /// Only greater sequences are handed out.
        above: Sequence,
    },
    /// This pid, which is new.
    New(Pid),
    /// One of these, by chance.
    Any {
        /// How many there are.
        free: usize,
    },
    /// Nothing now. It would wait for this.
    Waits(Waiting),
}

/// Looks at etcd as a start with these options would.
///
/// # Errors
/// One line for people: why a start would fail.
pub fn prospect(options: &PidStoreOptions) -> Result<PidProspect, String> {
    let mut link = Link::new(options.place.gateway()?, super::no_clock());
    let layout = options.place.layout();
    let mut claim = options.claim();
    let mut result = None;
    let mut survey = None;
    loop {
        let step = claim.step(result.take(), &mut || link.random());
        match (step, &survey) {
            (Step::Call(call @ Call::Range(_)), _) => {
                let answer = link.world(&mut |_| {}).call(&call);
                survey = match &answer {
                    Ok(answer) => Survey::of(&layout, answer),
                    // Whoever asks does not want to wait until it is tried again.
                    Err(error) => return Err(error.to_string()),
                };
                result = Some(answer);
            }
            (Step::Done(Err(error @ NoClaim::NoCluster { .. })), _) => return Err(why_not(&error)),
            (Step::Done(Err(error)), _) => return Err(error.to_string()),
            (Step::Wait(_), Some(survey)) => {
                let waiting = claim.waiting().cloned();
                return Ok(PidProspect {
                    takes: waiting.map_or(Takes::First, Takes::Waits),
                    owned: survey.owners().len(),
                });
            }
            // Anything else would change something.
            (_, Some(survey)) => {
                return Ok(PidProspect {
                    takes: takes(survey, options.wanted),
                    owned: survey.owners().len(),
                });
            }
            (_, None) => return Err("etcd was not asked".to_owned()),
        }
    }
}

/// What is taken where something is free.
fn takes(survey: &Survey, wanted: Wanted) -> Takes {
    let Some(meta) = survey.meta.seen() else {
        return Takes::First;
    };
    let take = |pid: Pid| match survey.pid(pid).state.seen() {
        None => Takes::New(pid),
        Some(state) => {
            let is_restored = state.value.epoch < meta.value.epoch;
            let (above, _) = floor(pid, survey, &meta.value);
            Takes::Used {
                pid,
                boot: (!is_restored).then_some(state.value.boot + 1),
                above,
            }
        }
    };
    match wanted {
        Wanted::Pid(pid) => take(pid),
        Wanted::Auto { first, last } => match free(survey, &meta.value, first, last)[..] {
            [pid] => take(pid),
            ref free => Takes::Any { free: free.len() },
        },
    }
}

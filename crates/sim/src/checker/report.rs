//! The report on a history, in the words of Jepsen's checker of unique ids (attempted, acknowledged, duplicated,
//! range). It adds the order and the causality that Ipseity also promises.

use std::{collections::BTreeMap, fmt};

use super::{Answer, BrokenPromise, Summary, check};

/// The most duplicated identities that are shown, the smallest first.
const DUPLICATES_SHOWN_MAX: usize = 48;

/// How the requests of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests for identities.
    pub attempted: u64,
    /// Requests that were answered with identities.
    pub acknowledged: u64,
    /// Requests that were answered with an error.
    pub refused: u64,
    /// Requests whose answer never reached the client. Nobody has the identities that the server may have given them.
    pub unanswered: u64,
}

impl Tally {
    /// Adds the tally of another client.
    pub fn add(&mut self, other: Tally) {
        self.attempted += other.attempted;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
    }
}

/// The report on a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// How the requests ended.
    pub tally: Tally,
    /// Identities in all answers.
    pub identities: u64,
    /// How many identities are in more than one answer.
    pub duplicated: u64,
    /// The smallest of those, each with the number of answers that contain it.
    pub duplicates: BTreeMap<u64, usize>,
    /// The least and the greatest identity.
    pub range: Option<(u64, u64)>,
    /// Answers to requests that carried an `after`.
    pub answers_after: usize,
    /// The judgement.
    pub verdict: Result<Summary, BrokenPromise>,
}

impl RunReport {
    /// Judges a history.
    pub fn on(history: &[Answer], tally: Tally) -> RunReport {
        assert_eq!(
            (tally.acknowledged, tally.attempted),
            (
                history.len() as u64,
                tally.acknowledged + tally.refused + tally.unanswered
            ),
            "requests were lost from the count, not from the servers: {tally:?}"
        );
        let last = |answer: &Answer| {
            let behind_first = u64::from(answer.count.saturating_sub(1));
            answer.first.saturating_add(behind_first * 1024)
        };
        let mut report = RunReport {
            tally,
            identities: history.iter().map(|answer| u64::from(answer.count)).sum(),
            duplicated: 0,
            duplicates: BTreeMap::new(),
            range: history
                .iter()
                .map(|answer| answer.first)
                .min()
                .zip(history.iter().map(last).max()),
            answers_after: history.iter().filter(|answer| answer.after > 0).count(),
            verdict: check(history),
        };
        report.count_duplicates(history);
        report
    }

    /// Counts how many answers cover each place. The count changes only where an answer begins or ends. This does not
    /// rely on `check`: answers are compared whichever server gave them.
    fn count_duplicates(&mut self, history: &[Answer]) {
        let mut changes: BTreeMap<(u64, u64), i64> = BTreeMap::new();
        for answer in history {
            // Only integers with the same low bits can be the same.
            let (pid, first) = (answer.first % 1024, answer.first / 1024);
            *changes.entry((pid, first)).or_default() += 1;
            *changes
                .entry((pid, first + u64::from(answer.count)))
                .or_default() -= 1;
        }
        let mut depth = 0;
        let mut before = (0, 0);
        for (place, change) in changes {
            if depth > 1 {
                self.duplicated += place.1 - before.1;
                for sequence in before.1..place.1 {
                    if self.duplicates.len() == DUPLICATES_SHOWN_MAX {
                        break;
                    }
                    self.duplicates
                        .insert(sequence * 1024 + place.0, depth as usize);
                }
            }
            depth += change;
            before = place;
        }
    }

    /// Whether all promises were kept.
    pub fn is_valid(&self) -> bool {
        self.verdict.is_ok() && self.duplicated == 0
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            attempted,
            acknowledged,
            refused,
            unanswered,
        } = self.tally;
        writeln!(f, "valid?              {}", self.is_valid())?;
        writeln!(
            f,
            "attempted-count     {attempted} requests ({refused} refused, {unanswered} without an answer)"
        )?;
        writeln!(
            f,
            "acknowledged-count  {acknowledged} requests, {} identities",
            self.identities
        )?;
        writeln!(f, "duplicated-count    {}", self.duplicated)?;
        if !self.duplicates.is_empty() {
            writeln!(f, "duplicated          {:?}", self.duplicates)?;
        }
        match self.range {
            Some((least, greatest)) => writeln!(f, "range               [{least} {greatest}]")?,
            None => writeln!(f, "range               nothing was handed out")?,
        }
        match &self.verdict {
            Ok(summary) => {
                writeln!(
                    f,
                    "order               kept, {:?} answers by pid, {} lives told apart",
                    summary.servers, summary.lives
                )?;
                write!(
                    f,
                    "causality           kept by {} answers that were asked to be after an identity",
                    self.answers_after
                )
            }
            Err(fault) => write!(f, "fault               {fault}"),
        }
    }
}

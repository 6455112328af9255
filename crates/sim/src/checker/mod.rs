//! Judges the history of a run: whether the identities that clients got keep the promises.
//!
//! It uses only what clients saw: which server answered, when, and with which block. Time is counted, not
//! measured: each client takes a moment from one [`Clock`] before it sends and another when the reply is there.
//! So "this request ended before that one began" is a comparison of two integers.

pub mod report;

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use ipseity_client::Block;
use ipseity_core::identity::Identity;

/// Moments, in the order in which they were taken, over all threads.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    /// The next moment.
    pub fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// One request that was answered with identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The pid of the server that was asked.
    pub server: u16,
    /// Which life of the server answered, if the client knows. Each start counts one up.
    pub life: Option<u64>,
    /// The client that asked. A client that sends `after` always sends its newest identity.
    pub client: u32,
    /// The moment before it asked.
    pub begun: u64,
    /// The moment when it had the reply.
    pub ended: u64,
    /// The `after` that it sent, 0 for none.
    pub after: u64,
    /// The first integer of the reply.
    pub first: u64,
    /// How many identities.
    pub count: u32,
}

/// The counts of a history that keeps all promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Answers.
    pub answers: usize,
    /// Identities in them.
    pub identities: u64,
    /// Answers of each server.
    pub servers: BTreeMap<u16, usize>,
    /// How many lives answered a client, as far as they are known.
    pub lives: usize,
}

/// A promise that was broken, and the answers that show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenPromise {
    /// The numbers are not a block of identities.
    NoBlock(Answer),
    /// The identities carry another pid than the server that was asked.
    ForeignPid(Answer),
    /// An identity is in both answers.
    Repeated(Answer, Answer),
    /// The second request began after the first had ended, at the same server, and its answer is not greater.
    Decreasing(Answer, Answer),
    /// The second answer is of a later life of the same server, and is not greater.
    EarlierLife(Answer, Answer),
    /// The answer is not greater than its `after`.
    NotAfter(Answer),
    /// The client asked for identities after those of the first answer, and the second is not greater.
    ClientDecreasing(Answer, Answer),
}

impl fmt::Display for BrokenPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokenPromise::NoBlock(a) => write!(f, "no block of identities: {a:?}"),
            BrokenPromise::ForeignPid(a) => write!(f, "identities of another pid: {a:?}"),
            BrokenPromise::Repeated(a, b) => write!(f, "handed out twice:\n  {a:?}\n  {b:?}"),
            BrokenPromise::Decreasing(a, b) => write!(f, "a server went back:\n  {a:?}\n  {b:?}"),
            BrokenPromise::EarlierLife(a, b) => {
                write!(
                    f,
                    "a life began before the end of the one before:\n  {a:?}\n  {b:?}"
                )
            }
            BrokenPromise::NotAfter(a) => write!(f, "not greater than its after: {a:?}"),
            BrokenPromise::ClientDecreasing(a, b) => {
                write!(f, "what a client received went back:\n  {a:?}\n  {b:?}")
            }
        }
    }
}

/// Judges a history, in any order.
pub fn check(history: &[Answer]) -> Result<Summary, BrokenPromise> {
    let mut blocks = Vec::with_capacity(history.len());
    for &answer in history {
        let block = Identity::from_u64(answer.first)
            .and_then(|first| Block::new(first, answer.count))
            .ok_or(BrokenPromise::NoBlock(answer))?;
        if block.first().pid().get() != answer.server {
            return Err(BrokenPromise::ForeignPid(answer));
        }
        if answer.first <= answer.after {
            return Err(BrokenPromise::NotAfter(answer));
        }
        blocks.push((answer, block));
    }
    nothing_repeats(&mut blocks)?;
    let mut servers: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    let mut clients: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for &block in &blocks {
        servers.entry(block.0.server).or_default().push(block);
        clients.entry(block.0.client).or_default().push(block);
    }
    let mut lives = 0;
    for of_server in servers.values_mut() {
        increases(of_server, |_| true, BrokenPromise::Decreasing)?;
        lives += lives_follow_each_other(of_server)?;
    }
    for of_client in clients.values_mut() {
        // A request without `after` need not get a greater answer.
        increases(
            of_client,
            |answer| answer.after > 0,
            BrokenPromise::ClientDecreasing,
        )?;
    }
    Ok(Summary {
        answers: history.len(),
        identities: history.iter().map(|a| u64::from(a.count)).sum(),
        servers: servers
            .iter()
            .map(|(pid, answers)| (*pid, answers.len()))
            .collect(),
        lives,
    })
}

type Judged = (Answer, Block);

/// In the order of identities, each block begins after the end of the one before. Blocks of two servers
/// interleave, so each server is checked by itself.
fn nothing_repeats(blocks: &mut [Judged]) -> Result<(), BrokenPromise> {
    blocks.sort_by_key(|(answer, block)| (answer.server, block.first()));
    for pair in blocks.windows(2) {
        let ((a, before), (b, behind)) = (pair[0], pair[1]);
        if a.server == b.server && behind.first() <= before.last() {
            return Err(BrokenPromise::Repeated(a, b));
        }
    }
    Ok(())
}

/// Each answer for which `held` is true must be greater than all answers that had ended before it began.
fn increases(
    answers: &mut [Judged],
    held: impl Fn(&Answer) -> bool,
    fault: impl Fn(Answer, Answer) -> BrokenPromise,
) -> Result<(), BrokenPromise> {
    let mut ended = answers.to_vec();
    ended.sort_by_key(|(answer, _)| answer.ended);
    let mut ended = ended.into_iter().peekable();
    answers.sort_by_key(|(answer, _)| answer.begun);
    let mut greatest: Option<Judged> = None;
    for (answer, block) in answers.iter() {
        while let Some(earlier) = ended.next_if(|(earlier, _)| earlier.ended < answer.begun) {
            if greatest.is_none_or(|(_, known)| earlier.1.last() > known.last()) {
                greatest = Some(earlier);
            }
        }
        if let Some((earlier, known)) = greatest
            && held(answer)
            && block.first() <= known.last()
        {
            return Err(fault(earlier, *answer));
        }
    }
    Ok(())
}

/// Every answer of a life must be greater than all answers of earlier lives, no matter when they were requested.
/// Returns how many lives there are.
fn lives_follow_each_other(answers: &[Judged]) -> Result<usize, BrokenPromise> {
    let mut lives: BTreeMap<u64, (Judged, Judged)> = BTreeMap::new();
    for &judged in answers {
        let Some(life) = judged.0.life else { continue };
        let (least, greatest) = lives.entry(life).or_insert((judged, judged));
        if judged.1.first() < least.1.first() {
            *least = judged;
        }
        if judged.1.last() > greatest.1.last() {
            *greatest = judged;
        }
    }
    let ends: Vec<_> = lives.values().collect();
    for pair in ends.windows(2) {
        let ((_, greatest), (least, _)) = (pair[0], pair[1]);
        if least.1.first() <= greatest.1.last() {
            return Err(BrokenPromise::EarlierLife(greatest.0, least.0));
        }
    }
    Ok(lives.len())
}

//! A share of the seeds is about starts: who has a pid, who asks for it, and what the others do then. Such a seed has
//! few clients and few other faults. So little hides what goes wrong, and a run takes little time.

use super::fault::{Fault, Faults, HTTP_PER_MILLE, chance, stream};

/// Whether a seed is about starts.
pub fn is_about_starts(seed: u64) -> bool {
    stream(seed, 8).u32(..3) == 0
}

/// What operators do wrong in such a seed: one thing at most.
const MISTAKES: [Option<Fault>; 8] = [
    Some(Fault::Copy),
    Some(Fault::Copy),
    Some(Fault::Copy),
    Some(Fault::Copy),
    Some(Fault::WrongPid),
    Some(Fault::Lost),
    Some(Fault::Rollback),
    None,
];

/// What else happens, and in how many of 1000 such seeds.
const OTHERS: [(Fault, u32); 8] = [
    (Fault::Stop, 600),
    (Fault::Kill, 300),
    (Fault::Majority, 500),
    (Fault::DiskHangs, 300),
    (Fault::Pause, 250),
    (Fault::Partition, 250),
    (Fault::Unreachable, 100),
    (Fault::Amnesia, 100),
];

/// The faults of a seed that is about starts.
pub fn faults(seed: u64) -> Faults {
    let mut rng = stream(seed, 9);
    let mistake = *rng.choice(&MISTAKES).expect("there are some");
    let others = OTHERS
        .iter()
        .filter_map(|(fault, per_mille)| chance(&mut rng, *per_mille).then_some(*fault));
    let web =
        chance(&mut stream(seed, 20 + Fault::Http as u64), HTTP_PER_MILLE).then_some(Fault::Http);
    others
        .chain(mistake)
        .chain(web)
        .fold(Faults::NONE, Faults::with)
}

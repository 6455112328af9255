//! Eight lives that want three pids in a simulated etcd, over many seeds.

use ipseity_sim::etcd::workers;

/// How many seeds an ordinary run has.
const SEEDS: u64 = 40;

/// No sequence of a pid is handed out twice, the allowances of its lives are disjoint, and once all is well every pid hands
/// out again. `IPSEITY_SEEDS` says how many seeds, and `IPSEITY_SEED` which one.
#[test]
fn no_sequence_of_a_pid_is_handed_out_twice() {
    let number = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
    let seeds = match number("IPSEITY_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("IPSEITY_SEEDS").unwrap_or(SEEDS),
    };
    let mut total = workers::Outcome::default();
    for seed in seeds {
        let outcome = workers::run(seed);
        if let Some(violation) = &outcome.violation {
            panic!(
                "seed {seed}: {violation}\nrepeat it: IPSEITY_SEED={seed} cargo test --test simulation pids"
            );
        }
        total.add(&outcome);
    }
    println!("{total:?}");
    // Faults that never happen show nothing.
    let calls = total.calls;
    for (count, what) in [
        (total.handed_out, "handed out"),
        (total.lives, "claimed"),
        (total.fenced, "fenced"),
        (total.stopped, "stopped"),
        (total.raises, "raised"),
        (calls.lost, "lost"),
        (calls.answers_lost, "done without an answer"),
        (calls.late, "late"),
        (calls.doubled, "done twice"),
        (calls.refused, "refused"),
        (calls.leaders, "without a leader"),
        (calls.leases_ended, "ended early"),
        (calls.renewed_by_former, "renewed by a former leader"),
        (calls.restored, "restored"),
    ] {
        assert!(
            count > 0 || std::env::var_os("IPSEITY_SEED").is_some(),
            "nothing was {what}"
        );
    }
}

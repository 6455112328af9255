//! How likely what goes wrong with an etcd and with the calls to it.

use std::time::Duration;

/// See the [module](self). Each likelihood is in a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A call never arrives.
    pub lost: u16,
    /// A call takes effect, and its answer never arrives.
    pub answer_lost: u16,
    /// A call takes effect after its caller has given up.
    pub late: u16,
    /// A call takes effect a second time, later.
    pub doubled: u16,
    /// A call is refused for a passing reason.
    pub refused: u16,
    /// The longest way of a call or an answer.
    pub delay: Duration,
    /// How much later than its deadline a late call takes effect at most.
    pub lateness: Duration,
    /// How long there is no leader, or no space, at most.
    pub outage: Duration,
    /// How often etcd itself has a mishap on average: no leader, no space, a lease that ends early.
    pub mishap: Option<Duration>,
    /// Whether leases end early among them.
    pub ends_leases: bool,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Faults = Faults {
        lost: 0,
        answer_lost: 0,
        late: 0,
        doubled: 0,
        refused: 0,
        delay: Duration::from_millis(5),
        lateness: Duration::ZERO,
        outage: Duration::ZERO,
        mishap: None,
        ends_leases: false,
    };

    /// Faults of random likelihood: each seed has others, so that one kind does not hide all others.
    pub fn random(random: &mut fastrand::Rng) -> Faults {
        let mut likely = || match random.u8(..3) {
            0 => 0,
            1 => random.u16(..30),
            _ => random.u16(..200),
        };
        let [lost, answer_lost, late, doubled, refused] = [(); 5].map(|()| likely());
        let up_to =
            |random: &mut fastrand::Rng, most: u64| Duration::from_millis(random.u64(1..=most));
        Faults {
            lost,
            answer_lost,
            late,
            doubled,
            refused,
            delay: up_to(random, 300),
            lateness: up_to(random, 20_000),
            outage: up_to(random, 5_000),
            mishap: random.bool().then(|| up_to(random, 4_000)),
            // A copy draws, so that whatever is drawn after this is the same.
            ends_leases: random.clone().bool(),
        }
    }

    /// Whether no lease ends before its time.
    pub fn leases_hold(&self) -> bool {
        self.mishap.is_none() || !self.ends_leases
    }

    pub(super) fn hits(&self, likelihood: u16, random: &mut fastrand::Rng) -> bool {
        likelihood > 0 && random.u16(..1000) < likelihood
    }

    pub(super) fn delay(&self, random: &mut fastrand::Rng) -> Duration {
        self.delay.mul_f64(random.f64())
    }

    pub(super) fn lateness(&self, random: &mut fastrand::Rng) -> Duration {
        self.lateness.mul_f64(random.f64())
    }

    pub(super) fn outage(&self, random: &mut fastrand::Rng) -> Duration {
        self.outage.mul_f64(random.f64())
    }
}

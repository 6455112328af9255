//! How much may be absorbed: two token buckets over the monotonic clock that share what fills in (see J. Turner, "New
//! Directions in Communications", IEEE Communications Magazine 24(10), 1986; a token is one sequence).
//!
//! Anybody who can reach a server can ask it to go on above a sequence, and sequences that are jumped over are
//! gone. The buckets let real differences between servers through, and make burning the 2^53 of them a
//! matter of decades: both together fill no faster than the rate, and a restart does not refill them.
//!
//! A server that was down for long has to catch up with its peers. What a peer has really reached is used up already,
//! so that costs nothing; but a stranger can say anything. So only a peer that this server knows lets it catch up, once
//! in each life: one that it was told to dial, or one of a state directory that it remembers.
//!
//! A peer that lies could use that at each restart. So the n-th boot lets it catch up by an n-th of the burst. The sum
//! over any number of boots is then a few dozen bursts, and less than a hundredth of the sequence: the sum of 1/n grows
//! as the logarithm of n. The boots are counted in the state directory anyway, so this needs no record of its own. A
//! server with many boots that has to catch up by more waits until its bucket holds that: at the usual rate a fraction
//! of the time that it was away.

use super::{Budgets, bucket::Inflow};
use crate::time::Instant;

/// Whose advance it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payer {
    /// A client's, with `after`.
    Client,
    /// That of a peer that has connected here. Anybody can say that.
    Peer,
    /// That of a peer that was named with `--peer`, or that was remembered when this server started.
    KnownPeer,
}

/// Why an advance is not paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unpaid {
    /// So many tokens are there now. More will come.
    NotNow { left: u64 },
    /// It costs more than there can ever be at once.
    Never { most: u64 },
}

/// What a start begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// It is the first start of its directory.
    pub(super) is_first: bool,
    /// It remembers peers, so it may have absorbed from them before.
    pub(super) knows_peers: bool,
    /// How many starts the directory has had, with this one.
    pub(super) boot: u64,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Budget {
    clients: Bucket,
    peers: Bucket,
    /// What known peers may raise a server by that begins with an empty bucket. It never fills again.
    catch_up: u64,
    inflow: Inflow,
    /// 1 if a token is left over that could not be halved, otherwise 0.
    odd: u64,
}

/// What one kind of payer has.
#[derive(Clone, Debug)]
struct Bucket {
    burst: u64,
    tokens: u64,
}

impl Budget {
    /// Only a directory that has absorbed nothing yet begins with full buckets, or anybody who can make a server
    /// restart could burn a burst each time.
    pub(super) fn new(budgets: Budgets, start: Start) -> Budget {
        let Budgets {
            after_burst,
            peer_burst,
            rate_per_second,
        } = budgets;
        // bug BudgetRefilled instead: let clients_full = start.is_first || BUG;
        let clients_full = start.is_first;
        // bug PeerBurstRefilled instead: let share = match start.is_first || BUG {
        let share = match start.is_first {
            true => peer_burst,
            false => peer_burst / start.boot.max(1),
        };
        // A server that remembers nobody does not know which peer to believe, so the first one may use the share.
        let is_anybodys = start.is_first || !start.knows_peers;
        Budget {
            clients: Bucket::new(after_burst, only_if(clients_full, after_burst)),
            peers: Bucket::new(peer_burst, only_if(is_anybodys, share)),
            catch_up: only_if(!is_anybodys, share),
            inflow: Inflow::new(rate_per_second),
            odd: 0,
        }
    }

    /// Takes `tokens`, or says why not and takes none.
    pub(super) fn take(&mut self, tokens: u64, payer: Payer, now: Instant) -> Result<(), Unpaid> {
        let filled = self.inflow.since_last(now);
        self.share(filled);
        let catch_up = match payer {
            Payer::Client | Payer::Peer => 0,
            Payer::KnownPeer => self.catch_up,
        };
        let bucket = match payer {
            Payer::Client => &mut self.clients,
            Payer::Peer | Payer::KnownPeer => &mut self.peers,
        };
        let left = bucket.tokens.saturating_add(catch_up);
        if tokens > left {
            // What is left to catch up with is never more than the burst.
            let most = match self.inflow.rate_per_second() {
                0 => left,
                _ => left.max(bucket.burst),
            };
            return Err(match tokens > most {
                true => Unpaid::Never { most },
                false => Unpaid::NotNow { left },
            });
        }
        let from_bucket = tokens.min(bucket.tokens);
        bucket.tokens -= from_bucket;
        self.catch_up -= tokens - from_bucket;
        Ok(())
    }

    /// Half goes to each, and what one cannot hold goes to the other: neither can be kept from filling by those who
    /// drain the other.
    fn share(&mut self, filled: u64) {
        let filled = filled.saturating_add(self.odd);
        let half = filled / 2;
        self.odd = filled % 2;
        let over = self.clients.put(half);
        let over = self.peers.put(half.saturating_add(over));
        self.clients.put(over);
    }
}

fn only_if(is_given: bool, tokens: u64) -> u64 {
    if is_given { tokens } else { 0 }
}

impl Bucket {
    fn new(burst: u64, tokens: u64) -> Bucket {
        Bucket { burst, tokens }
    }

    /// Puts tokens in. Returns those for which there is no room.
    fn put(&mut self, tokens: u64) -> u64 {
        let taken = tokens.min(self.burst - self.tokens);
        self.tokens += taken;
        tokens - taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FIRST: Start = Start {
        is_first: true,
        knows_peers: false,
        boot: 1,
    };
    const LATER: Start = Start {
        is_first: false,
        knows_peers: true,
        boot: 2,
    };

    fn at(millis: u64) -> Instant {
        Instant::START.after(Duration::from_millis(millis))
    }

    fn budget(after_burst: u64, peer_burst: u64, rate_per_second: u64, start: Start) -> Budget {
        let budgets = Budgets {
            after_burst,
            peer_burst,
            rate_per_second,
        };
        Budget::new(budgets, start)
    }

    #[test]
    fn a_first_start_has_its_bursts_and_then_what_time_fills_in() {
        // The peers' bucket is full, so all of the rate goes to the clients'.
        let mut budget = budget(1000, 50, 10, FIRST);
        let mut take = |tokens, millis| budget.take(tokens, Payer::Client, at(millis));
        assert_eq!(take(1001, 0), Err(Unpaid::Never { most: 1000 }));
        assert_eq!(take(1000, 0), Ok(()));
        assert_eq!(take(1, 0), Err(Unpaid::NotNow { left: 0 }));
        assert_eq!(take(10, 1100), Ok(()));
        assert_eq!(take(1, 1150), Err(Unpaid::NotNow { left: 0 }));
        // Neither the fifty milliseconds nor the eleventh token were lost.
        assert_eq!(take(2, 1200), Ok(()));
        assert_eq!(take(1, 1300), Err(Unpaid::NotNow { left: 0 }));
        assert_eq!(take(2, 1400), Ok(()));
    }

    #[test]
    fn both_together_get_no_more_than_the_rate_and_each_gets_half_of_it() {
        let mut budget = budget(1000, 1000, 10, FIRST);
        budget.take(1000, Payer::Client, at(0)).unwrap();
        budget.take(1000, Payer::Peer, at(0)).unwrap();
        let mut drained = [0, 0];
        for second in 1..=60 {
            for (payer, sum) in [Payer::Client, Payer::Peer].into_iter().zip(&mut drained) {
                while budget.take(1, payer, at(1000 * second)).is_ok() {
                    *sum += 1;
                }
            }
        }
        assert_eq!(drained, [300, 300]);
        // One that asks alone gets all of it once the other is full.
        let later = at(1000 * (60 + 400));
        assert_eq!(budget.take(1000, Payer::Peer, later), Ok(()));
        assert_eq!(budget.take(1000, Payer::Client, later), Ok(()));
    }

    #[test]
    fn those_who_ask_often_get_no_more_than_the_rate() {
        // A token of this rate takes no whole number of nanoseconds.
        const RATE: u64 = 1_000_000_001;
        let mut budget = budget(u64::MAX / 4, 0, RATE, LATER);
        let mut drained = 0;
        for micros in 1..=1000 {
            let now = Instant::START.after(Duration::from_micros(micros));
            // Each attempt asks what time has brought. If one of them gets too much, this has to end all the same.
            while drained < RATE && budget.take(1, Payer::Client, now).is_ok() {
                drained += 1;
            }
        }
        assert_eq!(drained, RATE / 1000);
    }

    #[test]
    fn a_restart_brings_nothing_back() {
        let mut budget = budget(1000, 1000, 10, LATER);
        let nothing = Err(Unpaid::NotNow { left: 0 });
        assert_eq!(budget.take(1, Payer::Client, at(0)), nothing);
        assert_eq!(budget.take(1, Payer::Peer, at(0)), nothing);
        // A whole burst can be paid, but not yet.
        assert_eq!(budget.take(1000, Payer::Client, at(0)), nothing);
        assert_eq!(budget.take(5, Payer::Client, at(1000)), Ok(()));
        assert_eq!(budget.take(5, Payer::Peer, at(1000)), Ok(()));
    }

    #[test]
    fn a_known_peer_lets_a_restarted_server_catch_up_once() {
        let mut budget = budget(1000, 1000, 10, LATER);
        // Two seconds have given ten tokens, which are spent first.
        assert_eq!(budget.take(400, Payer::KnownPeer, at(2000)), Ok(()));
        assert_eq!(
            budget.take(1, Payer::Peer, at(2000)),
            Err(Unpaid::NotNow { left: 0 })
        );
        assert_eq!(
            budget.take(1001, Payer::KnownPeer, at(2000)),
            Err(Unpaid::Never { most: 1000 })
        );
        assert_eq!(budget.take(110, Payer::KnownPeer, at(2000)), Ok(()));
        assert_eq!(
            budget.take(1, Payer::KnownPeer, at(2000)),
            Err(Unpaid::NotNow { left: 0 })
        );
    }

    #[test]
    fn a_server_that_has_never_heard_a_peer_may_absorb_a_share_from_the_first() {
        let mut budget = budget(
            1000,
            1000,
            10,
            Start {
                is_first: false,
                knows_peers: false,
                boot: 4,
            },
        );
        assert_eq!(budget.take(250, Payer::Peer, at(0)), Ok(()));
        assert_eq!(
            budget.take(1, Payer::KnownPeer, at(0)),
            Err(Unpaid::NotNow { left: 0 })
        );
        assert_eq!(
            budget.take(1, Payer::Client, at(0)),
            Err(Unpaid::NotNow { left: 0 })
        );
    }

    #[test]
    fn no_number_of_restarts_lets_known_peers_use_up_the_sequence() {
        // A restart each second for eleven days.
        const BOOTS: u64 = 1_000_000;
        let burst = crate::limits::PEER_BURST_DEFAULT;
        for knows_peers in [true, false] {
            let burned: u64 = (1..=BOOTS)
                .map(|boot| {
                    let start = Start {
                        is_first: boot == 1,
                        knows_peers: knows_peers && boot > 1,
                        boot,
                    };
                    let budget = budget(0, burst, 0, start);
                    budget.peers.tokens + budget.catch_up
                })
                .sum();
            // The natural logarithm of a million is 13.8.
            assert!(burned < 15 * burst, "{burned}");
        }
    }

    #[test]
    fn they_never_hold_more_than_their_bursts() {
        let mut budget = budget(5, 7, u64::MAX, FIRST);
        let late = Instant::from_nanos(u64::MAX);
        assert_eq!(budget.take(5, Payer::Client, at(0)), Ok(()));
        assert_eq!(
            budget.take(6, Payer::Client, late),
            Err(Unpaid::Never { most: 5 })
        );
        assert_eq!(budget.take(5, Payer::Client, late), Ok(()));
        assert_eq!(budget.take(7, Payer::Peer, late), Ok(()));
        assert_eq!(budget.take(0, Payer::Peer, late), Ok(()));
    }

    #[test]
    fn without_a_rate_what_is_spent_never_comes_back() {
        let mut budget = budget(5, 5, 0, FIRST);
        assert_eq!(budget.take(3, Payer::Client, at(0)), Ok(()));
        assert_eq!(
            budget.take(3, Payer::Client, Instant::from_nanos(u64::MAX)),
            Err(Unpaid::Never { most: 2 })
        );
    }

    #[test]
    fn to_burn_all_sequences_takes_28_years_restarts_included() {
        const YEAR: u64 = 31_557_600;
        let rate = crate::limits::ADVANCE_RATE_DEFAULT;
        let [after_burst, peer_burst] = [
            crate::limits::AFTER_BURST_DEFAULT,
            crate::limits::PEER_BURST_DEFAULT,
        ];
        // Each process runs for a second. Somebody burns all that it allows, then it ends and the next one begins.
        let mut burned = 0;
        for life in 0..100 {
            let start = if life == 0 { FIRST } else { LATER };
            let mut budget = budget(after_burst, peer_burst, rate, start);
            for payer in [Payer::Client, Payer::Peer] {
                let (mut low, mut high) = (0, u64::MAX);
                while low < high {
                    let most = low + (high - low).div_ceil(2);
                    match budget.clone().take(most, payer, at(1000)) {
                        Ok(()) => low = most,
                        Err(_) => high = most - 1,
                    }
                }
                budget.take(low, payer, at(1000)).unwrap();
                burned += low;
            }
        }
        let bursts = after_burst + peer_burst;
        let a_second = (burned - bursts) / 100;
        assert!(a_second <= rate, "{a_second}");
        let years = ((1 << 53) - bursts) / a_second / YEAR;
        assert!(years >= 28, "{years}");
    }
}

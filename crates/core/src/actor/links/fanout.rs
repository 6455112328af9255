//! Which peers are asked in a round: all that are connected or, if there are more than `--fanout`, that many drawn at
//! random.
//!
//! With a few random partners in each round, what one server knows reaches all others. The number of rounds for that
//! grows with the logarithm of the number of servers (A. Demers et al., "Epidemic Algorithms for Replicated Database
//! Maintenance", PODC 1987). A round carries news in both directions, as in R. Karp, C. Schindelhauer, S. Shenker and
//! B. Vöcking, "Randomized Rumor Spreading", FOCS 2000.
//!
//! Peers are drawn in passes, like cards from a deck: no peer is drawn again before all others were drawn. This
//! spreads news as fast. It also makes certain what pure chance only makes likely: each peer is asked within two
//! passes. So a dead peer is noticed, and an objection reaches the peer that it is for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Link, LinkState, PeerId};

/// Draws the peers of a round.
#[derive(Debug)]
pub(super) struct Lots {
    random: SplitMix64,
    /// The pass that is under way.
    pass: u64,
}

impl Lots {
    /// A drawing that depends only on the seed.
    pub(super) fn new(seed: u64) -> Lots {
        Lots {
            random: SplitMix64(seed),
            // Higher than the value for a link on which nothing was asked yet.
            pass: 1,
        }
    }

    /// The pass that is under way.
    pub(super) fn pass(&self) -> u64 {
        self.pass
    }

    /// Draws `count` of the dialed peers that owe no answer. If there are fewer, draws all of them.
    pub(super) fn draw(
        &mut self,
        count: usize,
        links: &mut BTreeMap<Link, LinkState>,
    ) -> BTreeSet<PeerId> {
        let mut left = Vec::new();
        let mut asked = Vec::new();
        for (link, state) in &*links {
            match *link {
                Link::Dialed(peer) if state.asked_at.is_none() => {
                    let pile = if state.pass < self.pass {
                        &mut left
                    } else {
                        &mut asked
                    };
                    pile.push(peer);
                }
                Link::Dialed(_) | Link::Accepted(_) => {}
            }
        }
        let mut drawn = BTreeSet::new();
        self.take(count, left, links, &mut drawn);
        if drawn.len() < count {
            // Those were the last peers of this pass.
            self.pass += 1;
            self.take(count - drawn.len(), asked, links, &mut drawn);
        }
        drawn
    }

    /// Takes `count` peers from the pile, or all of them.
    fn take(
        &mut self,
        count: usize,
        mut pile: Vec<PeerId>,
        links: &mut BTreeMap<Link, LinkState>,
        drawn: &mut BTreeSet<PeerId>,
    ) {
        for _ in 0..count.min(pile.len()) {
            let peer = pile.swap_remove(self.random.below(pile.len()));
            if let Some(state) = links.get_mut(&Link::Dialed(peer)) {
                state.pass = self.pass;
            }
            drawn.insert(peer);
        }
    }
}

/// SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). It takes
/// a few lines, and any seed will do. It only balances load and protects nothing, so it does no harm that its numbers
/// can be predicted.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`. The bound is small: some numbers come more often by one part in 2^64 / `bound`, which
    /// makes no difference here.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Links to `count` peers, none of which owes an answer.
    fn links(count: u32) -> BTreeMap<Link, LinkState> {
        let link = |peer| (Link::Dialed(PeerId(peer)), LinkState::default());
        (0..count).map(link).collect()
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // The numbers that the authors' own program prints.
        let mut random = SplitMix64(1_234_567);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn no_more_are_drawn_than_are_wanted_or_exist() {
        for seed in 0..20 {
            let mut lots = Lots::new(seed);
            let mut links = links(5);
            for (count, drawn) in [(0, 0), (1, 1), (4, 4), (5, 5), (6, 5), (3, 3)] {
                assert_eq!(lots.draw(count, &mut links).len(), drawn);
            }
        }
    }

    #[test]
    fn nobody_is_drawn_again_before_all_others_were() {
        for (peers, count) in [(6u32, 2usize), (7, 2), (10, 3), (100, 7)] {
            let mut lots = Lots::new(u64::from(peers));
            let mut links = links(peers);
            let mut rounds_since = vec![0; peers as usize];
            for _ in 0..1000 {
                let drawn = lots.draw(count, &mut links);
                for (peer, since) in rounds_since.iter_mut().enumerate() {
                    *since += 1;
                    // At most: first in one pass and last in the next.
                    assert!(*since * count < 2 * peers as usize + count, "{since}");
                    if drawn.contains(&PeerId(peer as u32)) {
                        *since = 0;
                    }
                }
            }
        }
    }

    #[test]
    fn every_peer_has_the_same_chance() {
        let mut drawn = [0u32; 9];
        for seed in 0..3000 {
            for peer in Lots::new(seed).draw(3, &mut links(9)) {
                drawn[peer.0 as usize] += 1;
            }
        }
        assert!(
            drawn.iter().all(|times| (900..1100).contains(times)),
            "{drawn:?}"
        );
    }

    #[test]
    fn a_peer_that_owes_an_answer_takes_no_place_in_a_round() {
        let mut lots = Lots::new(1);
        let mut links = links(4);
        for state in links.values_mut().take(2) {
            state.asked_at = Some(crate::time::Instant::START);
        }
        for _ in 0..10 {
            let drawn = lots.draw(2, &mut links);
            assert_eq!(drawn, BTreeSet::from([PeerId(2), PeerId(3)]));
        }
    }
}

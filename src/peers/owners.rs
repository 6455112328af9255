//! The owners of the other pids, as the store has them: their addresses are peers as if they had been given with `--peer`,
//! for as long as they own their pids.

use ipseity_core::{ids::NameId, time::Instant};

use super::{Peers, Source};
use crate::limits::OWNERS_MAX;

/// What has changed with a new list of owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnersChange {
    /// Names that are new.
    pub came: Vec<NameId>,
    /// Names that are not dialed any more.
    pub gone: Vec<NameId>,
}

impl Peers {
    /// Takes the addresses of all owners, each `host:port`. Those that are new are due at once. One that is not there any
    /// more is dialed no more, but a connection to it stays: its owner may only be cut off from the store. An address that
    /// was also given with `--peer` is left to that name.
    pub fn set_owners(&mut self, owners: &[String], now: Instant) -> OwnersChange {
        let mut change = OwnersChange::default();
        for name in self.ids() {
            let known = self.name(name);
            if known.source == Source::Owner && !owners.contains(&known.text) {
                self.drop_name(name);
                change.gone.push(name);
            }
        }
        for owner in owners {
            let names = || {
                self.names
                    .iter()
                    .filter(|name| name.source != Source::Memory)
            };
            let is_known = names().any(|name| !name.is_over && name.text == *owner);
            if is_known {
                continue;
            }
            if let Some(place) = self.place_for(Source::Owner, OWNERS_MAX) {
                self.add_name(place, owner.clone(), Source::Owner, now);
                change.came.push(place);
            }
        }
        change
    }

    /// Whether this name is the address of an owner.
    pub fn is_owner(&self, name: NameId) -> bool {
        self.name(name).source == Source::Owner
    }
}

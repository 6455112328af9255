//! Where the lives that are remembered can be dialed, as they tell it themselves.

use std::sync::Arc;

use super::{Guard, Unsaved};
use crate::{address::HostPort, words::SyncMessage};

impl Guard {
    /// Notes where a life says that it can be dialed, if it is the one that is remembered. One that tells no address, or
    /// none that can be dialed, has none.
    pub(in crate::actor) fn note_address(&mut self, sync: &SyncMessage) {
        let Some(known) = self.members.get_mut(&sync.pid) else {
            return;
        };
        let remembered = &mut known.remembered;
        if remembered.session != sync.session {
            return;
        }
        let address = advertised(&sync.advertise);
        if remembered.address != address {
            remembered.address = address;
            self.unsaved = Unsaved::Who;
        }
    }
}

/// The address that a peer tells, if it is one that can be dialed.
fn advertised(text: &str) -> Option<Arc<str>> {
    let address: HostPort = text.parse().ok()?;
    address.is_dialable().then(|| address.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_address_that_can_be_dialed_counts_as_none() {
        assert_eq!(
            advertised("ids.example:1").as_deref(),
            Some("ids.example:1")
        );
        assert_eq!(advertised("[::1]:3264").as_deref(), Some("[::1]:3264"));
        for text in [
            "",
            "ids",
            "ids:0",
            "a b:1",
            "a\nb:1",
            "\u{202e}a:1",
            "0.0.0.0:1",
        ] {
            assert_eq!(advertised(text), None, "{text:?}");
        }
    }
}

//! The content of a membersReply. The actor knows the pids; the addresses are added here.

use super::Server;
use ipseity_core::{
    identity::Pid,
    ids::Link,
    limits::REMEMBERED_MAX,
    words::{Member, Members, Message},
};

use crate::{edge::Edge, limits::STRANGERS_LIST_MAX};

impl<E: Edge> Server<E> {
    /// The answer to a membersRequest for the pids from `first` on. Only an operator gets all of them in one answer.
    pub(super) fn member_list(&self, first: Pid, operates: bool) -> Message {
        let known = self.actor.members().range(first..);
        let total = known.clone().count() as u32;
        let most = match operates {
            true => REMEMBERED_MAX,
            false => STRANGERS_LIST_MAX,
        };
        let members: Vec<Member> = known
            .take(most)
            .map(|(pid, known)| Member {
                pid: *pid,
                incarnation: known.remembered.incarnation,
                boot: known.remembered.boot,
                session: known.remembered.session,
                sequence: known.remembered.sequence.get(),
                address: self
                    .addresses
                    .get(pid)
                    .map_or(String::new(), |(_, address)| address.clone()),
                last_heard_ms: known.heard_at.map(|heard_at| self.ms_since(heard_at)),
                objection: known.objection().map_or(0, |code| code.get()),
            })
            .collect();
        Message::MembersReply(Box::new(Members { total, members }))
    }

    /// Notes that `pid` is heard on `link`.
    pub(super) fn note_address(&mut self, pid: Pid, link: Link) {
        if self
            .addresses
            .get(&pid)
            .is_none_or(|(known, _)| *known != Some(link))
        {
            let address = self.link_address(link);
            self.addresses.insert(pid, (Some(link), address));
        }
    }

    /// The actor has handled the loss of a link. Nothing names the link any more, so the slot of its connection can
    /// be freed.
    pub(super) fn forget_link(&mut self, link: Link) {
        for (known, _) in self.addresses.values_mut() {
            known.take_if(|known| *known == link);
        }
        debug_assert!(!self.losses.contains_key(&link));
        if let Link::Accepted(connection) = link {
            self.transport.release_link(connection);
        }
    }
}

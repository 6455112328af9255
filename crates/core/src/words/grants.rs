//! Grants: what a connection may do. They are decided once for each connection, and checked in one place.

use super::{ErrorCode, ErrorReply, Message};

/// One thing that a connection may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Grant {
    /// To take identities.
    Take = 1,
    /// To look: at the status, and at the members.
    Look = 2,
    /// To synchronize, as a peer does.
    Sync = 4,
    /// To operate: what only an operator may ask for.
    Operate = 8,
}

/// What a connection may do: a set of [`Grant`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants(u8);

impl Grants {
    /// Nothing.
    pub const NONE: Grants = Grants(0);
    /// What everybody may do, unless something else is set.
    pub const EVERYBODY: Grants = Grants::NONE
        .and(Grant::Take)
        .and(Grant::Look)
        .and(Grant::Sync);
    /// What an operator needs to look and to operate.
    pub const OPERATOR: Grants = Grants::NONE.and(Grant::Look).and(Grant::Operate);
    /// Everything.
    pub const ALL: Grants = Grants::EVERYBODY.and(Grant::Operate);

    /// These grants and one more.
    #[must_use]
    pub const fn and(self, grant: Grant) -> Grants {
        Grants(self.0 | grant as u8)
    }

    /// The grants that are in both.
    #[must_use]
    pub const fn within(self, other: Grants) -> Grants {
        Grants(self.0 & other.0)
    }

    /// Whether this grant is among them.
    #[inline(always)]
    pub const fn has(self, grant: Grant) -> bool {
        self.0 & grant as u8 != 0
    }

    /// Whether a connection with these grants may send this message.
    ///
    /// # Errors
    /// It may not. The error is what the sender is told.
    pub fn check(self, message: &Message) -> Result<(), ErrorReply> {
        // bug GrantsIgnored: return Ok(());
        match message.needs() {
            Some(grant) if !self.has(grant) => {
                Err(ErrorReply::new(ErrorCode::NotTrusted, grant.denial()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Grant {
    /// Why a request that needs it is not served.
    const fn denial(self) -> &'static str {
        match self {
            Grant::Take => {
                "this listener gives no identities: ask at another address of the server"
            }
            Grant::Look => {
                "this listener shows neither the status nor the members: ask at another address of the server"
            }
            Grant::Sync => {
                "this listener takes no peers: name another address of the server with --peer"
            }
            Grant::Operate => {
                "only an operator may ask for this: from a loopback address, or from one that the server was \
                 given with --trust"
            }
        }
    }
}

impl Message {
    /// Whether this is a request of an operator: for the status or the members, or to change something.
    pub const fn is_for_operators(&self) -> bool {
        matches!(
            self,
            Message::StatusRequest
                | Message::MembersRequest { .. }
                | Message::ForgetRequest { .. }
                | Message::AdvanceRequest { .. }
        )
    }

    /// The grant that a message needs. An answer needs none, because it is accepted only from a server that was asked.
    /// An objection and an overrule need none either: they are accepted only from a peer that may synchronize.
    const fn needs(&self) -> Option<Grant> {
        match self {
            Message::IdentityRequest { .. } => Some(Grant::Take),
            Message::StatusRequest | Message::MembersRequest { .. } => Some(Grant::Look),
            Message::SyncRequest(_) => Some(Grant::Sync),
            Message::ForgetRequest { .. } | Message::AdvanceRequest { .. } => Some(Grant::Operate),
            Message::IdentityReply { .. }
            | Message::SyncReply(_)
            | Message::StatusReply(_)
            | Message::Objection(_)
            | Message::Overrule(_)
            | Message::MembersReply(_)
            | Message::DoneReply { .. }
            | Message::ErrorReply(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Pid;

    #[test]
    fn each_request_needs_its_grant_and_no_other() {
        let pid = Pid::MIN;
        let requests = [
            (Message::IdentityRequest { count: 1, after: 0 }, Grant::Take),
            (Message::StatusRequest, Grant::Look),
            (Message::MembersRequest { from: pid }, Grant::Look),
            (Message::ForgetRequest { pid }, Grant::Operate),
            (Message::AdvanceRequest { above: 1 }, Grant::Operate),
        ];
        for (request, needed) in requests {
            for grant in [Grant::Take, Grant::Look, Grant::Sync, Grant::Operate] {
                let checked = Grants::NONE.and(grant).check(&request);
                assert_eq!(
                    checked.is_ok(),
                    grant == needed,
                    "{request:?} with {grant:?}"
                );
                if let Err(error) = checked {
                    assert_eq!(error.code, ErrorCode::NotTrusted.get());
                }
            }
            assert!(Grants::ALL.check(&request).is_ok());
            assert!(Grants::ALL.within(Grants::NONE).check(&request).is_err());
        }
        assert!(!Grants::EVERYBODY.has(Grant::Operate));
        assert!(
            Grants::NONE
                .check(&Message::DoneReply { sequence: 1 })
                .is_ok()
        );
    }
}

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

/// What decides which grants a connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// The address that it comes from.
    Address,
    /// The certificate that it has shown in TLS, or that it has shown none.
    Certificate,
}

/// What a connection may do: a set of [`Grant`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants(u8);

impl Grants {
    /// Nothing.
    pub const NONE: Grants = Grants(0);
    /// What everybody may do, unless something else is set.
    pub const EVERYBODY: Grants = Grants::NONE.and(Grant::Take).and(Grant::Look);
    /// What an operator needs to look and to operate.
    pub const OPERATOR: Grants = Grants::NONE.and(Grant::Look).and(Grant::Operate);
    /// Everything.
    pub const ALL: Grants = Grants::EVERYBODY.and(Grant::Sync).and(Grant::Operate);

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

    /// Whether a connection with these grants is told which life a server is in: its incarnation, boot and session. They
    /// would help somebody who pretends to be that server, so only peers and operators see them.
    pub fn sees_lives(self) -> bool {
        // bug LivesShownToAll: return true;
        self.has(Grant::Sync) || self.has(Grant::Operate)
    }

    /// Whether a connection with these grants may send this message.
    ///
    /// # Errors
    /// It may not. The error is what the sender is told.
    pub fn check(self, message: &Message, decided: DecidedBy) -> Result<(), ErrorReply> {
        // bug GrantsIgnored: return Ok(());
        // bug StrangerTakenForPeer: if message.needs() == Some(Grant::Sync) { return Ok(()); }
        match message.needs() {
            Some(grant) if !self.has(grant) => {
                let denial = match decided {
                    DecidedBy::Address => grant.denial(),
                    DecidedBy::Certificate => grant.denial_to_certificate(),
                };
                Err(ErrorReply::new(grant.code(), denial))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Grant {
    /// The code of the error where it is missing.
    const fn code(self) -> ErrorCode {
        match self {
            Grant::Sync => ErrorCode::NotAPeer,
            Grant::Take | Grant::Look | Grant::Operate => ErrorCode::NotTrusted,
        }
    }

    /// Why a request that needs it is not served where a certificate decides.
    const fn denial_to_certificate(self) -> &'static str {
        match self {
            Grant::Take | Grant::Look => {
                "you have shown no certificate, and this server wants one: show the certificate of a client (make it with \
                 `ipseity-cli cert client`); only /livez and /readyz need none"
            }
            Grant::Sync => {
                "over TLS only a peer's certificate lets a server synchronize, one that a CA of --tls-peer-ca has signed \
                 or that names the role peer: make it with `ipseity-cli cert peer`"
            }
            Grant::Operate => {
                "only an operator may ask for this: over TLS with a certificate that names the role operator (make it \
                 with `ipseity-cli cert operator`), or without TLS from the server's own machine"
            }
        }
    }

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
                "no name in --peer of this server has the address that you come from, and its --peer-from does not \
                 allow it: try again in a second, because the names are looked up again now; if that does not help, \
                 give that server one of the two flags"
            }
            Grant::Operate => {
                "only an operator may ask for this: from the server's own machine (unless it was given \
                 --trust-loopback no), or from an address that it was given with --trust"
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
    const fn needs(&self) -> Option<Grant> {
        match self {
            Message::IdentityRequest { .. } | Message::HelloRequest(_) => Some(Grant::Take),
            Message::StatusRequest | Message::MembersRequest { .. } => Some(Grant::Look),
            Message::SyncRequest(_)
            | Message::Objection(_)
            | Message::Overrule(_)
            | Message::Probe(_)
            | Message::Alive(_)
            | Message::Goodbye(_) => Some(Grant::Sync),
            Message::ForgetRequest { .. } | Message::AdvanceRequest { .. } => Some(Grant::Operate),
            Message::IdentityReply { .. }
            | Message::HelloReply(_)
            | Message::SyncReply(_)
            | Message::StatusReply(_)
            | Message::MembersReply(_)
            | Message::DoneReply { .. }
            | Message::ErrorReply(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        identity::Pid,
        words::{Forget, Goodbye, Objection, Overrule, Probe, SyncMessage, Told, WIRE_VERSION},
    };

    #[test]
    fn each_request_needs_its_grant_and_no_other() {
        let pid = Pid::MIN;
        let sync = SyncMessage {
            version: WIRE_VERSION,
            cluster: "ipseity".parse().unwrap(),
            pid,
            incarnation: 1,
            boot: 1,
            session: 1,
            sequence: 1,
            told: Told::default(),
            advertise: String::new(),
        };
        let objection = Objection::new(pid, 1, ErrorCode::StaleState, 1, "no");
        let overrule = Overrule {
            pid,
            incarnation: 1,
            session: 1,
            above: 1,
        };
        let probe = Probe {
            pid,
            session: 1,
            nonce: 1,
        };
        let goodbye = Goodbye {
            pid,
            session: 1,
            served: true,
        };
        let requests = [
            (Message::IdentityRequest { count: 1, after: 0 }, Grant::Take),
            (Message::StatusRequest, Grant::Look),
            (Message::MembersRequest { from: pid }, Grant::Look),
            (
                Message::ForgetRequest {
                    what: Forget::All(pid),
                },
                Grant::Operate,
            ),
            (Message::AdvanceRequest { above: 1 }, Grant::Operate),
            (Message::SyncRequest(Box::new(sync)), Grant::Sync),
            (Message::Objection(Box::new(objection)), Grant::Sync),
            (Message::Overrule(Box::new(overrule)), Grant::Sync),
            (Message::Probe(probe), Grant::Sync),
            (Message::Alive(probe), Grant::Sync),
            (Message::Goodbye(goodbye), Grant::Sync),
        ];
        for (request, needed) in requests {
            for grant in [Grant::Take, Grant::Look, Grant::Sync, Grant::Operate] {
                let checked = Grants::NONE.and(grant).check(&request, DecidedBy::Address);
                assert_eq!(
                    checked.is_ok(),
                    grant == needed,
                    "{request:?} with {grant:?}"
                );
                if let Err(error) = checked {
                    let code = match needed {
                        Grant::Sync => ErrorCode::NotAPeer,
                        Grant::Take | Grant::Look | Grant::Operate => ErrorCode::NotTrusted,
                    };
                    assert_eq!(error.code, code.get());
                }
            }
            assert!(Grants::ALL.check(&request, DecidedBy::Address).is_ok());
            let denied = Grants::ALL
                .within(Grants::NONE)
                .check(&request, DecidedBy::Certificate);
            let message = denied.unwrap_err().message;
            assert!(message.contains("certificate"), "{message}");
            assert!(message.contains("`ipseity-cli cert "), "{message}");
        }
        assert!(!Grants::EVERYBODY.has(Grant::Operate));
        assert!(!Grants::EVERYBODY.has(Grant::Sync));
        assert!(
            Grants::NONE
                .check(&Message::DoneReply { sequence: 1 }, DecidedBy::Address)
                .is_ok()
        );
    }

    #[test]
    fn only_peers_and_operators_see_lives() {
        for (grants, sees) in [
            (Grants::NONE, false),
            (Grants::EVERYBODY, false),
            (Grants::NONE.and(Grant::Sync), true),
            (Grants::OPERATOR, true),
            (Grants::ALL, true),
        ] {
            assert_eq!(grants.sees_lives(), sees, "{grants:?}");
        }
    }
}

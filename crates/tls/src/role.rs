//! What the holder of a certificate is, if the certificate says so.

use std::fmt;

/// What the holder of a certificate is. It stands in the certificate as a URI name: `ipseity:role:peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes identities.
    Client,
    /// Operates servers.
    Operator,
    /// Is a server of the cluster.
    Peer,
}

/// With this every role begins.
const SCHEME: &str = "ipseity:role:";

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Client, Role::Operator, Role::Peer];

    /// The word for it: `client`, `operator` or `peer`.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Operator => "operator",
            Role::Peer => "peer",
        }
    }

    /// The URI name of a certificate with this role.
    pub const fn uri(self) -> &'static str {
        match self {
            Role::Client => "ipseity:role:client",
            Role::Operator => "ipseity:role:operator",
            Role::Peer => "ipseity:role:peer",
        }
    }

    /// The role that a URI name stands for. `None` if it has another meaning.
    pub fn from_uri(uri: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.uri() == uri)
    }

    /// Whether whoever wrote this URI name meant a role, well written or not.
    pub fn is_meant_by(uri: &str) -> bool {
        let begin = uri.trim_start().as_bytes().get(..SCHEME.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(SCHEME.as_bytes()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_name_is_exactly_one_role() {
        for role in Role::ALL {
            assert_eq!(role.uri(), format!("ipseity:role:{role}"));
            assert_eq!(Role::from_uri(role.uri()), Some(role));
        }
        for uri in [
            "",
            "ipseity:role:",
            "ipseity:role:Peer",
            "ipseity:role:peer ",
        ] {
            assert_eq!(Role::from_uri(uri), None, "{uri:?}");
            assert_eq!(Role::is_meant_by(uri), !uri.is_empty(), "{uri:?}");
        }
        for uri in ["ipseity:rol", "ipseityy:role:peer", "x:ipseity:role:peer"] {
            assert!(!Role::is_meant_by(uri), "{uri}");
        }
    }
}

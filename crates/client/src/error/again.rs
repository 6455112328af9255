//! The same error once more: several threads may wait for the same refill, and each is told why it failed. An error of the
//! system cannot be cloned, but one with the same kind and text can be made.

use std::io;

use super::{AddressFailure, ClientError, FailureCause, ServerFailure};

impl ClientError {
    /// The same error once more. Several threads may wait for the same refill.
    pub(crate) fn again(&self) -> ClientError {
        match self {
            ClientError::Unavailable(failures) => {
                ClientError::Unavailable(failures.iter().map(ServerFailure::again).collect())
            }
            ClientError::Refused { server, reply } => ClientError::Refused {
                server: server.clone(),
                reply: reply.clone(),
            },
            ClientError::WrongCluster {
                server,
                expected,
                reply,
            } => ClientError::WrongCluster {
                server: server.clone(),
                expected: expected.clone(),
                reply: reply.clone(),
            },
            ClientError::Violation { server, violation } => ClientError::Violation {
                server: server.clone(),
                violation: violation.clone(),
            },
            ClientError::Closed => ClientError::Closed,
            ClientError::Thread(error) => ClientError::Thread(io_again(error)),
            ClientError::NoServers => ClientError::NoServers,
            ClientError::NoTime(option) => ClientError::NoTime(option),
            ClientError::Address(error) => ClientError::Address(error.clone()),
        }
    }
}

/// An error of the system with the same kind and text.
fn io_again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

impl ServerFailure {
    fn again(&self) -> ServerFailure {
        ServerFailure {
            server: self.server.clone(),
            cause: self.cause.again(),
        }
    }
}

impl FailureCause {
    pub(crate) fn again(&self) -> FailureCause {
        match self {
            FailureCause::Lookup(error) => FailureCause::Lookup(io_again(error)),
            FailureCause::LookupTimeout(limit) => FailureCause::LookupTimeout(*limit),
            FailureCause::NoAddress => FailureCause::NoAddress,
            FailureCause::Connect(failures) => {
                let again = |failure: &AddressFailure| AddressFailure {
                    address: failure.address,
                    error: io_again(&failure.error),
                };
                FailureCause::Connect(failures.iter().map(again).collect())
            }
            FailureCause::NoConnection(limit) => FailureCause::NoConnection(*limit),
            FailureCause::Timeout(limit) => FailureCause::Timeout(*limit),
            FailureCause::Closed { bytes } => FailureCause::Closed { bytes: *bytes },
            FailureCause::Io(error) => FailureCause::Io(io_again(error)),
            FailureCause::HandshakeTimeout(limit) => FailureCause::HandshakeTimeout(*limit),
            FailureCause::Tls(text) => FailureCause::Tls(text.clone()),
            FailureCause::Refused(reply) => FailureCause::Refused(reply.clone()),
            FailureCause::NotTried => FailureCause::NotTried,
        }
    }
}

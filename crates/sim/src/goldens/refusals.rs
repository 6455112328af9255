//! Sync messages that are well formed and refused, with the errorReply that answers them.

use super::{error_reply, hex};

/// A syncRequest that a server refuses, and how. docs/protocol.md shows the answer.
pub struct Refused {
    pub request: Vec<u8>,
    /// The code and the text of the answer.
    pub code: u16,
    pub text: &'static str,
}

impl Refused {
    /// The errorReply that answers it, put together by hand.
    pub fn answer(&self) -> Vec<u8> {
        error_reply(self.code, self.text)
    }
}

/// The golden syncRequest, with this pid and this boot.
fn sync_request(pid: &str, boot: &str) -> Vec<u8> {
    hex(&format!(
        "0062 03 0002 0000000000000007 69707365697479 {pid}
         000102030405060708090a0b0c0d0e0f {boot} 1112131415161718 0000000000000005
         02 0000000000000400 01 00 00 1112131415161719 0000000000000000 0000
         0000000000000000"
    ))
}

/// The golden syncRequest, from an address that the server does not know.
pub fn not_a_peer() -> Refused {
    Refused {
        request: sync_request("0001", "0000000000000002"),
        code: 68,
        text: "no name in --peer of this server has the address that you come from, and its --peer-from does not \
               allow it: try again in a second, because the names are looked up again now; if that does not help, \
               give that server one of the two flags",
    }
}

/// The same for pid 2, with a boot that no server can have come to. The server remembers nothing of that pid.
pub fn boot_too_far() -> Refused {
    Refused {
        request: sync_request("0002", "0000000100000001"),
        code: 69,
        text: "boot 4294967297 of pid 2 is more than 4294967296 above the last one known here, 0: no server starts so \
               often, so look at who speaks for that pid, and at its state directory",
    }
}

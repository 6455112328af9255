//! What an operator asks of a server: which others it knows, to forget one, to go on above a sequence.

use super::{
    Client, ClientError, Violation,
    connection::Connection,
    judge::{Trouble, refusal, wrong_kind},
};
use ipseity_core::{
    identity::{Pid, Sequence},
    words::{Forget, Member, Members, Message},
};
use ipseity_frames::Kind;

impl Client {
    /// The other servers that a server knows, by ascending pid: all that it has heard and was not told to
    /// forget. With several servers, those that the first that answers knows.
    ///
    /// ```
    /// # let server = ipseity_harness::fake::Fake::serving(1);
    /// # server.set_members([2, 3, 5]);
    /// # let address = server.address();
    /// use ipseity_client::Client;
    ///
    /// let client = Client::new([address]).unwrap();
    /// for member in client.members().unwrap() {
    ///     println!("pid {} has come to sequence {}", member.pid, member.sequence);
    /// }
    /// # assert_eq!(client.members().unwrap().len(), 3);
    /// ```
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn members(&self) -> Result<Vec<Member>, ClientError> {
        self.attempt(0, receive_members)
    }

    /// Tells a server to forget what it remembers of a pid, and returns the highest sequence that it knew
    /// of it. A server of that pid that is still there is known again as soon as it is heard again.
    ///
    /// With several servers, only the first that answers forgets. If its reply is lost and the request is sent
    /// again, the second answer says that the pid is unknown.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`ErrorCode::NotTrusted`](ipseity_core::words::ErrorCode::NotTrusted) when the
    /// server does not take this from here, and with
    /// [`ErrorCode::UnknownPid`](ipseity_core::words::ErrorCode::UnknownPid) when it knows nothing of the pid.
    /// [`ClientError`] says what each of the others means.
    pub fn forget(&self, pid: Pid) -> Result<Sequence, ClientError> {
        self.forget_what(Forget::All(pid))
    }

    /// Tells a server to forget the lives that have claimed this pid, or any, and have never said that they serve, and
    /// returns the highest sequence that it knew of their pids, or 0 if there were none. A pid that never served is
    /// forgotten as a whole.
    ///
    /// # Errors
    /// As [`forget`](Self::forget). Only a pid that is named can be unknown.
    pub fn forget_never_served(&self, pid: Option<Pid>) -> Result<Sequence, ClientError> {
        self.forget_what(pid.map_or(Forget::AllNeverServed, Forget::NeverServed))
    }

    fn forget_what(&self, what: Forget) -> Result<Sequence, ClientError> {
        let request = Message::ForgetRequest { what };
        self.attempt(0, |connection| {
            receive_done(connection, &request, Sequence::ZERO)
        })
    }

    /// Tells a server to go on above a sequence, whatever its bounds for clients and peers are, and returns
    /// the sequence that it goes on above: `above`, or a higher one where it was already. That is durable
    /// when it returns. The sequences that are jumped over are gone for good.
    ///
    /// With several servers, only the first that answers goes on. To ask twice has the same effect as to ask once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`ErrorCode::NotTrusted`](ipseity_core::words::ErrorCode::NotTrusted) when the
    /// server does not take this from here. [`ClientError`] says what each of the others means.
    pub fn advance(&self, above: Sequence) -> Result<Sequence, ClientError> {
        let request = Message::AdvanceRequest { above: above.get() };
        self.attempt(0, |connection| receive_done(connection, &request, above))
    }
}

/// Asks for members until all have come, which is at most once for each pid.
fn receive_members(connection: &mut Connection) -> Result<Vec<Member>, Trouble> {
    // All pages share the time of one reply, so a server that sends them slowly cannot hold the caller for long.
    let deadline = connection.reply_deadline();
    let mut all = Vec::new();
    let mut from = Pid::MIN;
    loop {
        connection.queue(&Message::MembersRequest { from })?;
        let page = match connection.receive_by(deadline)? {
            Message::MembersReply(page) => *page,
            Message::ErrorReply(reply) => return Err(refusal(*reply)),
            other => return Err(wrong_kind(Kind::MembersReply, &other)),
        };
        let behind = judge_page(from, &page)?;
        all.extend(page.members);
        match behind {
            Some(pid) => from = pid,
            None => return Ok(all),
        }
    }
}

/// The pid from which on members are missing, if any are.
fn judge_page(from: Pid, page: &Members) -> Result<Option<Pid>, Violation> {
    let (total, members) = (page.total as usize, &page.members);
    let ascend = members.is_sorted_by(|one, next| one.pid < next.pid);
    if !ascend || members.first().is_some_and(|first| first.pid < from) {
        return Err(Violation::MembersOutOfOrder { from });
    }
    if total == members.len() {
        return Ok(None);
    }
    // There are more: some have come, and pids are left for the others.
    let behind = members
        .last()
        .and_then(|last| Pid::new(last.pid.get() + 1))
        .filter(|_| total > members.len());
    match behind {
        Some(pid) => Ok(Some(pid)),
        None => Err(Violation::MembersMiscounted {
            total: page.total,
            received: members.len(),
        }),
    }
}

/// Sends an operator's request. Returns the sequence in the reply, which must not be below `least`.
fn receive_done(
    connection: &mut Connection,
    request: &Message,
    least: Sequence,
) -> Result<Sequence, Trouble> {
    connection.queue(request)?;
    match connection.receive()? {
        Message::DoneReply { sequence } => Sequence::new(sequence)
            .filter(|done| *done >= least)
            .ok_or_else(|| {
                let received = sequence;
                Violation::WrongSequence { received, least }.into()
            }),
        Message::ErrorReply(reply) => Err(refusal(*reply)),
        other => Err(wrong_kind(Kind::DoneReply, &other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(pid: u16) -> Pid {
        Pid::new(pid).unwrap()
    }

    fn page(total: u32, pids: &[u16]) -> Members {
        let member = |at: &u16| Member {
            pid: pid(*at),
            incarnation: 0,
            boot: 1,
            session: 0,
            sequence: 0,
            address: "".into(),
            last_heard_ms: None,
            objection: 0,
        };
        Members {
            total,
            members: pids.iter().map(member).collect(),
        }
    }

    #[test]
    fn the_next_page_begins_after_the_last_pid_of_this_one() {
        let judged = |from, total, pids: &[u16]| judge_page(pid(from), &page(total, pids));
        assert_eq!(judged(0, 0, &[]), Ok(None));
        assert_eq!(judged(0, 2, &[0, 1023]), Ok(None));
        assert_eq!(judged(0, 3, &[0, 7]), Ok(Some(pid(8))));
        assert_eq!(judged(8, 2, &[8]), Ok(Some(pid(9))));
    }

    #[test]
    fn a_page_that_would_be_followed_for_ever_is_refused() {
        for (from, pids) in [(5, &[4, 6][..]), (0, &[2, 1]), (0, &[1, 1])] {
            let judged = judge_page(pid(from), &page(9, pids));
            let from = pid(from);
            assert_eq!(judged, Err(Violation::MembersOutOfOrder { from }));
        }
        for (total, pids) in [(1, &[][..]), (1, &[1, 2]), (3, &[5, 1023])] {
            let judged = judge_page(pid(0), &page(total, pids));
            let received = pids.len();
            assert_eq!(
                judged,
                Err(Violation::MembersMiscounted { total, received })
            );
        }
    }
}

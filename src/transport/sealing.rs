//! TLS in the transport: how a connection begins, its handshake, and the bytes between the socket and the decoder.
//!
//! A step of a handshake takes as long as hundreds of requests, on the only thread. So only a few are done in a turn,
//! and the other connections wait in a line with what they have sent. While one waits, nothing of it is read.
//!
//! Whatever was read, the session may have something to write: an answer to the handshake, an alert, new keys. So it is
//! asked after every read.

use std::{io, sync::Arc};

use ipseity_core::{ids::ConnectionId, time::Instant, words::Grants};
use ipseity_frames::WireError;

use super::{
    Transport, get_mut,
    handshakes::{Begins, Handshakes, Rechecked, Sealing},
    pulling::{Pulled, pull, pull_sealed},
    shared::{Shared, read_again},
};
use crate::{
    connection::{
        CloseReason, Connection, ConnectionState, Flushed, Inflow, Opening, Origin, Resume,
    },
    edge::Socket,
    limits::{HANDSHAKE_STEPS_PER_TURN, HANDSHAKES_MAX, READ_BYTES_MAX, RECHECKS_PER_TURN},
    mailbox::Mailbox,
    secure::{FIRST_BYTE, Session, Settings},
};

impl<S: Socket> Transport<S> {
    /// What has become of TLS handshakes.
    pub fn handshakes(&self) -> Handshakes {
        self.shared.sealing.counts
    }

    /// The settings with which new TLS sessions are made.
    pub fn tls(&self) -> Option<&Arc<Settings>> {
        self.shared.sealing.settings.as_ref()
    }

    /// Whether the connection uses TLS.
    pub fn is_sealed(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(|c| c.session.is_some())
    }

    /// From now on, sessions are made with these settings. Those that are open go on.
    pub fn renew_tls(&mut self, settings: Arc<Settings>) {
        self.shared.sealing.settings = Some(settings);
        self.shared.sealing.renewals += 1;
    }

    /// Looks at all open sessions again, some with each call of [`recheck_some`](Self::recheck_some).
    pub fn begin_recheck(&mut self) {
        let is_open = |c: &Connection<S>| {
            let session = c.session.as_deref();
            c.state == ConnectionState::Open && session.is_some_and(Session::is_open)
        };
        let all = self.connections.iter().map(|(_, c)| c);
        let open = all.filter(|c| is_open(c)).map(|c| c.id);
        self.shared.sealing.rechecks = open.collect();
    }

    /// Closes open sessions whose other side would not be let in any more.
    pub fn recheck_some(&mut self) -> Rechecked {
        let Self {
            connections,
            shared,
        } = self;
        let mut closed = 0;
        for _ in 0..RECHECKS_PER_TURN {
            let Some(id) = shared.sealing.rechecks.pop_front() else {
                break;
            };
            if let Some(c) = get_mut(connections, id)
                && let Some(reason) = shared.no_longer_good(c)
            {
                closed += 1;
                shared.close(c, CloseReason::NotGoodAnyMore(reason));
            }
        }
        let is_over = shared.sealing.rechecks.is_empty();
        Rechecked { closed, is_over }
    }

    /// Gives those that wait with a step of a handshake their turn, as many as there may be in a turn. Their readiness
    /// stands first in the mailbox of the next one.
    #[cold]
    pub(super) fn take_up_handshakes(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            shared,
        } = self;
        shared.sealing.steps_left = HANDSHAKE_STEPS_PER_TURN;
        // bug HandshakesStarve: shared.sealing.line.clear();
        let mut given = 0;
        while given < HANDSHAKE_STEPS_PER_TURN
            && let Some((id, since)) = shared.sealing.line.pop_front()
        {
            if let Some(c) = get_mut(connections, id)
                && c.resume == Resume::Handshake
                && c.state != ConnectionState::Closed
            {
                let wait = u64::try_from(now.since(since).as_micros()).unwrap_or(u64::MAX);
                let counts = &mut shared.sealing.counts;
                counts.longest_wait_us = counts.longest_wait_us.max(wait);
                c.had_waited(since, now);
                read_again(c, mailbox);
                given += 1;
            }
        }
        // Those that have not even sent what they begin with go first. It costs nothing to begin many of them.
        self.crowd_out_handshakes(false);
        self.crowd_out_handshakes(true);
    }

    /// Closes handshakes while too many are under way, the oldest first: those that were answered, or those that were not.
    fn crowd_out_handshakes(&mut self, are_answered: bool) {
        let Self {
            connections,
            shared,
        } = self;
        let mut list = std::mem::take(shared.sealing.list(are_answered));
        for _ in 0..list.len() {
            let Some(id) = list.pop_front() else {
                break;
            };
            let is_full = shared.sealing.counts.under_way > HANDSHAKES_MAX;
            let belongs =
                |session: &Session| session.is_shaking() && session.is_answered() == are_answered;
            let belongs = |c: &&mut Connection<S>| c.session.as_deref().is_some_and(belongs);
            match get_mut(connections, id).filter(belongs) {
                // A handshake that has come further leaves the list when it comes to its front. The time that a handshake
                // may take bounds how long it can wait behind one that has not.
                None => {}
                Some(_) if !is_full => {
                    list.push_front(id);
                    break;
                }
                // It waits for the server, not the server for it.
                Some(c) if c.resume == Resume::Handshake => list.push_back(id),
                Some(c) => shared.close(c, CloseReason::HandshakesFull),
            }
        }
        *shared.sealing.list(are_answered) = list;
    }
}

impl Shared {
    /// Whether a handshake has begun or gone on in this turn, or waits.
    #[inline(always)]
    pub(super) fn has_handshakes(&self) -> bool {
        self.sealing.steps_left < HANDSHAKE_STEPS_PER_TURN || !self.sealing.line.is_empty()
    }

    /// Looks at the first byte that a connection has sent. To make a session takes about as long as a step of a handshake, so
    /// it is made with the first one, if that may be done now.
    #[cold]
    pub(super) fn begin<S: Socket>(&mut self, c: &mut Connection<S>, now: Instant) -> Begins {
        let is_tls = self.decoder.rest().first() == Some(&FIRST_BYTE);
        let settings = match (is_tls, &self.sealing.settings) {
            (true, Some(_)) if self.sealing.steps_left == 0 => return Begins::Handshake,
            (true, Some(settings)) => settings,
            (true, None) => return Begins::Refused(WireError::TlsNotOffered),
            (false, _) if c.opening == Opening::Sealed => {
                return Begins::Refused(WireError::TlsRequired);
            }
            (false, _) => {
                c.opening = Opening::Begun;
                return Begins::Message;
            }
        };
        c.opening = Opening::Begun;
        let session = settings.accept(self.decoder.rest(), c.codec.is_http());
        self.decoder.restore(&[]);
        c.session = Some(Box::new(session.made_after(self.sealing.renewals)));
        self.set_grants(c, Grants::NONE);
        self.keep_address(c);
        c.progress_at = now;
        self.sweep_wanted = true;
        self.count_pending(c);
        self.sealing.counts.under_way += 1;
        self.sealing.begun.push_back(c.id);
        Begins::Handshake
    }

    /// A connection has begun a handshake. Does the first step of it, or lets it wait for its turn.
    pub(super) fn begin_to_shake<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        match c.is_shaking() {
            true => {
                self.shake(c, now, mailbox);
            }
            false => self.wait_to_shake(c, now),
        }
    }

    /// Puts a connection at the end of the line of those that wait with a step of their handshake.
    fn wait_to_shake<S: Socket>(&mut self, c: &mut Connection<S>, now: Instant) {
        c.resume = Resume::Handshake;
        self.count_pending(c);
        self.sealing.line.push_back((c.id, now));
    }

    /// Does one step of a handshake with what has arrived, or lets it wait for its turn. Returns whether the session is
    /// open now.
    #[cold]
    pub(super) fn shake<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> bool {
        if c.resume == Resume::Handshake {
            // It has its turn later.
            return false;
        }
        if self.sealing.steps_left == 0 {
            self.wait_to_shake(c, now);
            return false;
        }
        self.sealing.steps_left -= 1;
        self.decoder.restore(&[]);
        match self.pull_sealed(c, 0) {
            Pulled::Failed(error) => self.close(c, CloseReason::Io(error)),
            Pulled::Unsealed(error) => self.broken_session(c, &error),
            Pulled::Part | Pulled::Full | Pulled::Nothing => {
                let session = c.session.as_ref();
                if session.is_some_and(|session| !session.is_handshaking()) {
                    return self.open(c, now, mailbox);
                }
                if c.origin == Origin::Accepted
                    && let Some(session) = &mut c.session
                    && session.has_output()
                    && session.set_answered()
                {
                    self.sealing.answered.push_back(c.id);
                }
                if c.inflow == Inflow::Ended {
                    let text = "the other side closed the connection during the handshake";
                    self.close(c, CloseReason::Tls(text.to_owned()));
                } else if c.inflow.may_hold_more() {
                    read_again(c, mailbox);
                } else {
                    c.resume = Resume::Poll;
                }
            }
        }
        false
    }

    /// Goes on with the handshake of a connection that this server has dialed. Returns whether the session is open now.
    pub(super) fn shake_dialed<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> bool {
        // The first step is its own, and nothing has arrived for it.
        self.note_output(c);
        c.inflow.may_hold_more() && self.shake(c, now, mailbox)
    }

    /// The handshake is over. What the other side has shown decides what it may do. Returns whether it may do anything.
    fn open<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> bool {
        let decided = self.check_renewed(c).and_then(|()| self.decide(c));
        let decided = match (decided, c.origin) {
            (Err(text), Origin::Dialed(_)) => {
                self.close(c, CloseReason::Tls(text));
                return false;
            }
            (decided, _) => decided,
        };
        if let Some(session) = &mut c.session {
            session.set_open();
        }
        self.count_pending(c);
        let counts = &mut self.sealing.counts;
        counts.under_way -= usize::from(c.origin == Origin::Accepted);
        counts.open += 1;
        c.progress_at = now;
        match decided {
            Ok(grants) => {
                counts.done += 1;
                self.set_grants(c, grants);
                // A request may have come with the last step, and no edge will report it.
                read_again(c, mailbox);
                true
            }
            Err(text) => {
                counts.failed += 1;
                if let Some(session) = &mut c.session {
                    session.set_refused(text.clone());
                }
                // The session is good, so the other side can be told in it.
                self.broken(c, WireError::CertificateRefused { text }, mailbox);
                false
            }
        }
    }

    /// The files were read again while the handshake was under way. It was made as the old ones say, so its certificates are
    /// checked again.
    fn check_renewed<S: Socket>(&self, c: &Connection<S>) -> Result<(), String> {
        match &c.session {
            Some(session) if session.renewals() != self.sealing.renewals => {
                self.recheck(c, session)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the certificates of the other side are good now.
    fn recheck<S: Socket>(&self, c: &Connection<S>, session: &Session) -> Result<(), String> {
        let Some(settings) = self.sealing.settings.as_ref() else {
            return Ok(());
        };
        let certificates = session.certificates().unwrap_or_default();
        match c.origin {
            Origin::Accepted => settings.recheck_accepted(certificates),
            Origin::Dialed(_) => settings.recheck_dialed(certificates, session.name()),
        }
    }

    /// What the other side of a session may do.
    ///
    /// # Errors
    /// It is not let in, for this reason.
    fn decide<S: Socket>(&self, c: &Connection<S>) -> Result<Grants, String> {
        let (Some(session), Some(settings)) = (&c.session, &self.sealing.settings) else {
            return Ok(c.grants);
        };
        let certificates = session.certificates().unwrap_or_default();
        match c.origin {
            Origin::Dialed(_) => settings.check_dialed(certificates).map(|()| c.grants),
            Origin::Accepted => {
                let by_address = match self.addresses.get(&c.id) {
                    Some(address) => self.trust.grants(address.ip()),
                    None => Grants::NONE,
                };
                let grants = settings.grants(certificates, by_address, c.codec.is_http())?;
                Ok(c.most.within(grants))
            }
        }
    }

    /// Why the other side of an open session would not be let in any more.
    fn no_longer_good<S: Socket>(&self, c: &Connection<S>) -> Option<String> {
        let session = c.session.as_ref().filter(|session| session.is_open())?;
        let good = self.recheck(c, session);
        good.and_then(|()| self.decide(c).map(|_| ())).err()
    }

    /// A session cannot go on. The other side is sent the alert that says why.
    #[cold]
    pub(super) fn broken_session<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        error: &rustls::Error,
    ) {
        let text = self.explain(c, error);
        // A failed write changes nothing: the connection is closed in any case.
        let _ = self.write_now(c);
        if c.origin == Origin::Accepted && c.state < ConnectionState::Draining {
            self.session_over(c);
            if let Some(session) = &mut c.session {
                session.set_broken(text);
            }
            // What was asked before is answered. And closing with unread input would reset the connection, and the
            // alert could be lost.
            self.drain(c);
        } else {
            self.close(c, CloseReason::Tls(text));
        }
    }

    fn explain<S: Socket>(&self, c: &Connection<S>, error: &rustls::Error) -> String {
        match (&self.sealing.settings, c.origin) {
            (Some(settings), Origin::Accepted) => settings.explain_accepted(error),
            (Some(settings), Origin::Dialed(_)) => settings.explain_dialed(error),
            (None, _) => error.to_string(),
        }
    }

    /// The session of a connection that is about to close, or cannot go on, counts no more.
    #[cold]
    pub(super) fn session_over<S>(&mut self, c: &Connection<S>) {
        let counts = &mut self.sealing.counts;
        match &c.session {
            Some(session) if session.is_open() => counts.open -= 1,
            Some(session) if !session.is_broken() => {
                counts.failed += 1;
                counts.under_way -= usize::from(c.origin == Origin::Accepted);
            }
            Some(_) | None => {}
        }
    }

    /// Reads once from a connection, at most `most` bytes for the decoder, and notes what may be left.
    #[inline(always)]
    pub(super) fn pull<S: Socket>(&mut self, c: &mut Connection<S>, most: usize) -> Pulled {
        match c.session {
            None => pull(c, &mut self.decoder, most),
            Some(_) => self.pull_sealed(c, most),
        }
    }

    /// Reads sealed bytes once, unless the session still has some, and opens them into the decoder, at most `most` bytes.
    #[cold]
    fn pull_sealed<S: Socket>(&mut self, c: &mut Connection<S>, most: usize) -> Pulled {
        let Sealing { read, .. } = &mut self.sealing;
        if read.is_empty() {
            read.resize(READ_BYTES_MAX, 0);
        }
        let pulled = pull_sealed(c, &mut self.decoder, most, read, self.limits.read_bytes_max);
        self.note_output(c);
        self.count_pending(c);
        pulled
    }

    /// Has it written at the end of the turn what TLS itself has to say.
    fn note_output<S>(&mut self, c: &mut Connection<S>) {
        let session = c.session.as_deref();
        // bug SessionSilent: return;
        if session.is_some_and(|session| session.has_output()) {
            self.mark_dirty(c);
        }
    }

    /// Seals what was appended for the connection, if it speaks TLS, and writes as much as the kernel takes.
    ///
    /// # Errors
    /// The connection is broken.
    #[cold]
    pub(super) fn write_now<S: Socket>(&mut self, c: &mut Connection<S>) -> io::Result<Flushed> {
        c.seal(&mut self.pool, &mut self.sealing.room);
        let once = c.write_once();
        let flushed = c.write_on(once);
        c.note_left();
        flushed
    }

    /// Tells the other side that nothing more comes, before the socket says so. Returns whether that was written, or
    /// there is nothing to say.
    pub(super) fn end_session<S: Socket>(&mut self, c: &mut Connection<S>) -> io::Result<bool> {
        match &mut c.session {
            Some(session) if session.is_open() => session.end(),
            Some(_) | None => return Ok(true),
        }
        self.write_now(c)?;
        Ok(c.pending_bytes() == 0)
    }
}

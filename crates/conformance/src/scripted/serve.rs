//! Serving like a real server, with replies that may come late or together.

use std::{sync::atomic::Ordering, time::Duration};

use ipseity_core::{
    identity::IDENTITY_STRIDE,
    words::{ErrorCode, Message},
};

use super::{Came, Connection, End, error};
use crate::scenario::{Reply, Serve, Step, Then};

impl Connection<'_> {
    pub(super) fn serve(&mut self, serve: &Serve) -> Result<(), End> {
        // Replies that wait for further requests.
        let mut waiting: Vec<Message> = Vec::new();
        {
            let mut sequence = self.shared.sequence.lock().unwrap();
            *sequence = serve.first.saturating_sub(1).max(*sequence);
        }
        loop {
            if let Some((_, Then::Freeze)) = self.is_over(serve) {
                self.flush()?;
                return self.pause(Duration::MAX);
            }
            let quiet = match serve.reply {
                Reply::Quiet(time, _) if !waiting.is_empty() => Some(time),
                _ => None,
            };
            let request = match self.came(quiet)? {
                Came::Request(request) => request,
                Came::Nothing => {
                    waiting.drain(..).for_each(|reply| self.send(&reply));
                    continue;
                }
                Came::End => return Err(End::Closed),
            };
            match self.is_over(serve) {
                Some((_, Then::Freeze)) => {
                    self.flush()?;
                    return self.pause(Duration::MAX);
                }
                Some((_, Then::Close)) => return self.step(&Step::Close),
                Some((_, Then::Reset)) => return self.step(&Step::Reset),
                Some((_, Then::Code(code))) => {
                    self.send(&error(code, "as the script says"));
                    if !(32..64).contains(&code) {
                        return self.half_close_and_read();
                    }
                    continue;
                }
                None => {}
            }
            self.shared.replies.fetch_add(1, Ordering::Relaxed);
            if serve.delay > Duration::ZERO {
                self.flush()?;
                self.pause(serve.delay)?;
            }
            let answer = self.answer(&request);
            if matches!(answer, Message::ErrorReply(_)) {
                self.send(&answer);
                continue;
            }
            waiting.push(answer);
            let is_time = match serve.reply {
                Reply::AtOnce => true,
                Reply::Together(requests, at_once) => {
                    waiting.len() >= requests || *self.shared.sequence.lock().unwrap() <= at_once
                }
                Reply::Quiet(_, most) => {
                    // It goes on, because the client would only come back and do it again.
                    if waiting.len() == most + 1 {
                        let fault = format!("more than {most} requests are under way");
                        self.shared.state.lock().unwrap().faults.push(fault);
                    }
                    false
                }
            };
            if is_time {
                waiting.drain(..).for_each(|reply| self.send(&reply));
            }
        }
    }

    fn is_over(&self, serve: &Serve) -> Option<(u64, Then)> {
        serve
            .end
            .filter(|(replies, _)| self.shared.replies.load(Ordering::Relaxed) >= *replies)
    }

    fn answer(&self, request: &Message) -> Message {
        let Message::IdentityRequest { count, after } = *request else {
            return error(ErrorCode::UnknownKind.get(), "a client asks for identities");
        };
        let count_max = self.shared.face.count_max;
        if count == 0 || count > count_max {
            let text = format!("count {count} is not 1 to {count_max}");
            return error(ErrorCode::BadCount.get(), &text);
        }
        let mut sequence = self.shared.sequence.lock().unwrap();
        let first = (*sequence).max(after / IDENTITY_STRIDE) + 1;
        *sequence = first + u64::from(count) - 1;
        Message::IdentityReply {
            first: first * IDENTITY_STRIDE + u64::from(self.shared.face.pid.get()),
            count,
        }
    }
}

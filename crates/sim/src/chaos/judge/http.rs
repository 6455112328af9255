//! What servers say by HTTP.

use ipseity_core::words::ErrorCode;

use super::{EndState, FOR_ADDRESS, Judge, Refusal};
use crate::{
    chaos::{
        answers::{Answer, Said, next_answer},
        coverage::Heard,
    },
    world::EndId,
};

impl Judge {
    /// Judges the whole answers at the head of `rest`, and returns what is behind them.
    pub(super) fn answers_by_http<'a>(
        &mut self,
        server: usize,
        state: &mut EndState,
        mut rest: &'a [u8],
    ) -> &'a [u8] {
        while !rest.is_empty() {
            match next_answer(rest) {
                Ok(Some((answer, length))) => {
                    self.answer(server, state, &answer);
                    rest = &rest[length..];
                }
                Ok(None) => break,
                Err(wrong) => {
                    self.note_violation(|| format!("server {server} by HTTP: {wrong}"));
                    break;
                }
            }
        }
        rest
    }

    /// A server answers by HTTP.
    fn answer(&mut self, server: usize, state: &mut EndState, answer: &Answer<'_>) {
        if state.is_told {
            return self.note_violation(|| {
                format!("server {server} answers by HTTP behind its last answer: {answer:?}")
            });
        }
        state.frames += 1;
        state.is_told = answer.closes;
        match answer.said() {
            Ok(Said::Identities { first, count, .. }) => {
                self.coverage.replies += 1;
                self.coverage.heard(Heard::Identities);
                self.leaves(server, state, first, u64::from(count));
            }
            Ok(Said::Error { code, message }) => {
                self.coverage.code(code.get());
                if code.closes() && !answer.closes {
                    self.note_violation(|| format!("server {server} goes on after {code:?}"));
                }
                if code == ErrorCode::TooManyConnections {
                    state.refused = Some(Refusal {
                        end: EndId::MAX,
                        is_for_address: message
                            .as_bytes()
                            .windows(FOR_ADDRESS.len())
                            .any(|part| part == FOR_ADDRESS),
                        is_first: state.frames == 1,
                    });
                }
            }
            Ok(Said::Page) if answer.status == 200 && answer.body.ends_with("\nready\n") => {
                self.is_ready(server);
            }
            Ok(Said::Page) => {}
            Err(wrong) => self.note_violation(|| format!("server {server} by HTTP: {wrong}")),
        }
    }

    /// A server says that it is ready to hand out identities. It has to be as sure as one that does so.
    fn is_ready(&mut self, server: usize) {
        let life = &self.lives[server];
        let known = &self.pids[&life.pid].known;
        if life.joins_until.is_some_and(|until| self.now < until) {
            self.note_violation(|| {
                format!("server {server} is ready, and no peer has answered it yet")
            });
        } else if known.voters(life.life).len() < life.votes_needed {
            self.note_violation(|| {
                format!("server {server} is ready, and too few have accepted it")
            });
        }
    }
}

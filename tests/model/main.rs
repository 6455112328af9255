//! A model of how the peers of a server guard its pid, and a search through all that can happen in it.
//!
//! `peer` and `life` are the rules. `steps` does to them whatever can happen: lost, late and doubled messages, cut
//! links, pauses, crashes, and operators that copy, roll back, lose and mistype.
//!
//! What the model takes for granted, and why:
//!
//! - A probe is answered in time unless the life is dead, paused, or cut off. Whoever is alive may be silent to any
//!   probe: that is a pause or a cut link, and what it hands out then is exempt.
//! - A peer judges at one moment, when its probes have ended. If it hears of the pid while it probes, it has to begin
//!   again; what it hears between an acceptance and the claim is a step of its own here.
//! - A life that serves is heard often, or its address can be dialed. So a probe needs no link.
//! - Refusals come at once: whoever is refused later than it serves does not look at that any more.
//! - Under `prefer` a start only serves alone if nobody has accepted it; who has accepted it confirms it in time.
//! - Sequences go to three, and a step of the ceiling is one. A start that crashes before it speaks is no life of its own.
//! - Not in the model: `--recover-above`, `members --forget`, and processes that are cloned with their memory.
//! - A directory records all lives, or only the last: which of them it forgets makes no difference.
//! - Where a store fences, each start takes the pid over in one step, and no life raises its ceiling after that. A lease is
//!   not over before the life that has it is in doubt, and nobody who has lost the pid is confirmed again. Operators do not
//!   err there: nobody copies such a store, and one that was restored is no matter of the guard.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a panic is the report, and tests print"
)]

mod events; // what the steps are examples of
mod holds; // the promises hold, and what can happen happens
mod life; // what a life does
mod needed; // without any one rule or exemption a promise is broken
mod peer; // what a peer does
mod properties; // what is promised, and who breaks it
mod rules; // which model is searched
mod scenes; // where searches begin
mod search; // through all states, or by lot
mod state; // lives, directories and peers
mod steps; // all that can happen

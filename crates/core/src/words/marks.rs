//! What tells the lives of a pid apart, and who is shown it.

use super::{Grants, Member, Status};

/// The three values that tell the lives of a pid apart. They would help somebody who pretends to be that server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeMarks {
    /// The random value made with the state directory.
    pub incarnation: u128,
    /// How many times that directory has been started.
    pub boot: u64,
    /// The random value of the process.
    pub session: u64,
}

impl LifeMarks {
    /// What stands in the place of marks that are not shown. No life has these: a boot is 1 or more, or it is not known
    /// of a random incarnation.
    pub const NOT_SHOWN: LifeMarks = LifeMarks {
        incarnation: 0,
        boot: 0,
        session: 0,
    };

    /// Whether `later` is a later life of the same state directory.
    pub const fn is_followed_by(self, later: LifeMarks) -> bool {
        self.incarnation == later.incarnation && self.boot < later.boot
    }

    /// These marks, as far as somebody with these grants may see them.
    #[must_use]
    pub fn for_eyes_of(self, asker: Grants) -> LifeMarks {
        match asker.sees_lives() {
            true => self,
            false => LifeMarks::NOT_SHOWN,
        }
    }

    fn if_shown(self) -> Option<LifeMarks> {
        Some(self).filter(|marks| *marks != LifeMarks::NOT_SHOWN)
    }
}

impl Status {
    /// Which life it is, if the server shows that to the one who has asked.
    pub fn life(&self) -> Option<LifeMarks> {
        let marks = LifeMarks {
            incarnation: self.incarnation,
            boot: self.boot,
            session: self.session,
        };
        marks.if_shown()
    }
}

impl Member {
    /// Which life was heard last, if the server shows that to the one who has asked.
    pub fn life(&self) -> Option<LifeMarks> {
        let marks = LifeMarks {
            incarnation: self.incarnation,
            boot: self.boot,
            session: self.session,
        };
        marks.if_shown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Grant;

    #[test]
    fn marks_are_shown_to_peers_and_operators_only() {
        // After an operator's word the boot is not known for a moment.
        for boot in [0, 7] {
            let marks = LifeMarks {
                incarnation: 5,
                boot,
                session: 6,
            };
            for grants in [Grants::NONE.and(Grant::Sync), Grants::OPERATOR, Grants::ALL] {
                assert_eq!(marks.for_eyes_of(grants).if_shown(), Some(marks));
            }
            assert_eq!(marks.for_eyes_of(Grants::EVERYBODY).if_shown(), None);
        }
    }
}

//! Texts that came from somebody else, made safe to show. It imports nothing of ours.

use std::fmt::{self, Write as _};

/// Shows a text in one line that a terminal can be trusted with: each character that is not
/// [plain](is_plain) is written as its escape, `\n` or `\u{202e}`.
///
/// ```
/// use ipseity_core::text::Plain;
///
/// assert_eq!(Plain("gone\n\u{1b}[2J").to_string(), r"gone\n\u{1b}[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match is_plain(character) {
                true => f.write_char(character)?,
                false => write!(f, "{}", character.escape_default())?,
            }
        }
        Ok(())
    }
}

/// Whether a character stays on its line and in its place. Control characters can move the cursor, line separators can
/// forge a line, and directional marks can change the order in which a text is shown.
pub const fn is_plain(character: char) -> bool {
    !matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_left_and_everything_else_is_escaped() {
        let text = "Grüße, 鍵 \"1\" \\ 🔑";
        assert_eq!(Plain(text).to_string(), text);
        for odd in [
            '\0', '\t', '\n', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}', '\u{61c}', '\u{200e}',
            '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}',
        ] {
            assert!(!is_plain(odd), "{odd:?}");
            let shown = Plain(&format!("a{odd}b")).to_string();
            assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{shown}");
            assert!(shown.is_ascii(), "{shown:?}");
            // Debug, which most error texts use, is as safe.
            assert!(format!("{:?}", odd.to_string()).is_ascii());
        }
        for plain in [
            ' ', 'ä', '\u{a0}', '\u{200d}', '\u{2027}', '\u{202f}', '\u{206a}',
        ] {
            assert!(is_plain(plain), "{plain:?}");
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let all = (0..=0x10_ffff).filter_map(char::from_u32);
        assert!(all.filter(|c| c.is_control()).all(|c| !is_plain(c)));
    }
}

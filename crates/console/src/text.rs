//! Texts that came from the network, on their way to a terminal or into JSON.

use std::fmt::Write as _;

use ipseity_core::text::{Plain, is_plain};

/// The text in one line, without characters that could control a terminal or forge another line.
pub fn plain(text: &str) -> String {
    Plain(text).to_string()
}

/// The JSON text with every control character, line separator and directional mark in its strings escaped. A parser reads
/// the same strings.
pub fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    // Nearly always it is plain already. All bytes are looked at, because then the compiler takes many at once.
    let is_usual = |byte: u8| matches!(byte, b' '..=b'~') | (byte == b'\n');
    if json.bytes().fold(true, |all, byte| all & is_usual(byte)) {
        plain.push_str(json);
        return plain;
    }
    for character in json.chars() {
        // Outside of strings, JSON has none of these except line ends, which are kept.
        if is_plain(character) || character == '\n' {
            plain.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String never fails.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_is_plain_says_the_same() {
        let text = "a\0\u{1b}[2J\u{7f}\u{9b}\u{200e}\u{2028}\u{202e}\u{2066}\"\\ü🔑";
        let json = serde_json::to_string(text).unwrap();
        assert!(!json.chars().all(is_plain));
        let plain = plain_json(&json);
        assert!(plain.chars().all(is_plain), "{plain:?}");
        assert_eq!(serde_json::from_str::<String>(&plain).unwrap(), text);
        assert_eq!(plain_json("{\n}\n"), "{\n}\n");
    }
}

//! What a line of the log looks like: text for people, text for the journal, or a JSON object for programs.
//!
//! It writes nothing and reads no clock. Some lines contain text that a peer has sent. It must not look like another
//! line, or move the cursor, so every text is shown as [`Plain`] shows it, in JSON too.

use std::time::SystemTime;

use ipseity_core::text::Plain;
use log::{
    Level,
    kv::{self, Key, Source, Value, VisitValue},
};

/// What a JSON line may have besides its message, in this order.
const FIELDS: [&str; 4] = ["peer", "pid", "address", "reason"];

/// How the lines of this process look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Time, level and message.
    Text,
    /// The priority as systemd reads it, level and message. The journal has the time.
    Journal,
    /// One object.
    Json,
}

/// What a line says.
pub(super) struct Entry<'a> {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    /// The kind of line, by a name that stays.
    pub(super) event: &'a str,
    /// Where the parts of the message are that a program may look for.
    pub(super) fields: &'a dyn Source,
    pub(super) message: &'a str,
}

impl Entry<'_> {
    /// The line, with its end.
    pub(super) fn show(&self, look: Look) -> String {
        let message = Plain(self.message);
        let level = self.level;
        match look {
            Look::Text => format!("{} {level:<5} {message}\n", self.time()),
            Look::Journal => format!("{}{level:<5} {message}\n", priority(level)),
            Look::Json => self.object(),
        }
    }

    fn time(&self) -> humantime::Rfc3339Timestamp {
        humantime::format_rfc3339_millis(self.time)
    }

    fn object(&self) -> String {
        let level = self.level.as_str().to_ascii_lowercase();
        let mut object = format!("{{\"time\":\"{}\",\"level\":\"{level}\"", self.time());
        add(&mut object, "event", self.event);
        for name in FIELDS {
            if let Some(value) = self.fields.get(Key::from_str(name)) {
                let object = &mut object;
                // A field takes every value.
                let _ = value.visit(Field { object, name });
            }
        }
        add(&mut object, "message", self.message);
        object + "}\n"
    }
}

/// The beginning of a line by which the journal knows its priority.
pub(super) const fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// Adds one field. A number stays a number, and what is not known is left out.
struct Field<'a> {
    object: &'a mut String,
    name: &'static str,
}

impl<'v> VisitValue<'v> for Field<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        add(self.object, self.name, &value.to_string());
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, number: u64) -> Result<(), kv::Error> {
        *self.object += &format!(",\"{}\":{number}", self.name);
        Ok(())
    }
}

/// Adds a text. What is not plain was escaped before, so JSON itself has only two characters to escape.
fn add(object: &mut String, name: &str, text: &str) {
    *object += &format!(",\"{name}\":\"");
    for character in Plain(text).to_string().chars() {
        if matches!(character, '"' | '\\') {
            object.push('\\');
        }
        object.push(character);
    }
    object.push('"');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use log::kv::ToValue as _;

    use super::*;

    const NO_FIELDS: [(&str, Value<'_>); 0] = [];

    fn shown(look: Look, level: Level, fields: &dyn Source, message: &str) -> String {
        let entry = Entry {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_769_860_800_007),
            level,
            event: "peerDown",
            fields,
            message,
        };
        entry.show(look)
    }

    #[test]
    fn a_line_for_people_has_its_time_and_its_level() {
        assert_eq!(
            shown(Look::Text, Level::Warn, &NO_FIELDS, "peer a:1 is down: it"),
            "2026-01-31T12:00:00.007Z WARN  peer a:1 is down: it\n"
        );
    }

    #[test]
    fn a_line_for_the_journal_has_its_priority_and_no_time() {
        for (level, line) in [
            (Level::Error, "<3>ERROR it\n"),
            (Level::Warn, "<4>WARN  it\n"),
            (Level::Info, "<6>INFO  it\n"),
            (Level::Debug, "<7>DEBUG it\n"),
        ] {
            assert_eq!(shown(Look::Journal, level, &NO_FIELDS, "it"), line);
        }
    }

    #[test]
    fn a_line_for_programs_is_one_object() {
        assert_eq!(
            shown(Look::Json, Level::Info, &NO_FIELDS, "it"),
            "{\"time\":\"2026-01-31T12:00:00.007Z\",\"level\":\"info\",\"event\":\"peerDown\",\"message\":\"it\"}\n"
        );
        // In whichever order they are given. One that no page names is left out.
        let fields = [
            ("reason", Value::from("gone")),
            ("pid", Value::from(7_u16)),
            ("odd", Value::from("x")),
            ("address", Value::from_display(&"10.0.0.2:9")),
            ("peer", Value::from("b:3264")),
        ];
        assert_eq!(
            shown(Look::Json, Level::Error, &fields, "it"),
            "{\"time\":\"2026-01-31T12:00:00.007Z\",\"level\":\"error\",\"event\":\"peerDown\",\"peer\":\"b:3264\",\
             \"pid\":7,\"address\":\"10.0.0.2:9\",\"reason\":\"gone\",\"message\":\"it\"}\n"
        );
        // What is not known is not there.
        let fields = [
            ("peer", None::<&str>.to_value()),
            ("pid", None::<u16>.to_value()),
            ("address", Some("a:1").to_value()),
        ];
        assert_eq!(
            shown(Look::Json, Level::Debug, &fields, "it"),
            "{\"time\":\"2026-01-31T12:00:00.007Z\",\"level\":\"debug\",\"event\":\"peerDown\",\"address\":\"a:1\",\
             \"message\":\"it\"}\n"
        );
    }

    #[test]
    fn no_text_of_a_peer_leaves_its_line_or_its_string() {
        let evil = "a\"b\\c\nd\u{1b}[2J\u{202e}e\u{0}\u{2028}ü";
        let escaped = r"\nd\u{1b}[2J\u{202e}e\u{0}\u{2028}ü";
        for look in [Look::Text, Look::Journal] {
            let line = shown(look, Level::Warn, &NO_FIELDS, evil);
            assert!(line.ends_with(&format!("a\"b\\c{escaped}\n")), "{line}");
        }
        let fields = [("reason", Value::from(evil))];
        let line = shown(Look::Json, Level::Warn, &fields, evil);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.trim_end().chars().all(|c| !c.is_control()), "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        // Programs see what people see.
        for name in ["reason", "message"] {
            assert_eq!(object[name], format!("a\"b\\c{escaped}"));
        }
    }
}

//! What an error says: `conformance/texts.json` has a text for each class, and the same one holds in every language.

use std::{collections::BTreeMap, fs, sync::LazyLock};

use ipseity_harness::programs::repository;
use serde_json::Value;

use crate::compare::number;

/// What a language may put before a text.
const PACKAGE: &str = "ipseity: ";

/// The options that a client can be told, as docs/clients.md spells them.
const OPTIONS: [&str; 7] = [
    "connect_timeout",
    "reply_timeout",
    "call_timeout",
    "idle_max",
    "block_age_max",
    "block_max",
    "cluster",
];

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The class of the error.
    pub class: String,
    /// When an error of this class says this; empty if it always does.
    pub when: String,
    /// What it says.
    pub text: String,
    /// The codes that it is for; `None`: all that no other row of the class is for.
    codes: Option<Vec<u64>>,
    /// How many servers the client has; `None`: any other number.
    servers: Option<u64>,
}

/// What stands in the place of some braces.
#[derive(Clone, Debug)]
pub struct Part {
    /// The name in the braces.
    pub part: String,
    /// When this stands there.
    pub when: String,
    /// What stands there.
    pub text: String,
}

/// What errors say.
#[derive(Clone, Debug)]
pub struct Texts {
    /// For each class.
    pub rows: Vec<Row>,
    /// For some of the braces.
    pub parts: Vec<Part>,
    /// The names of the codes that have one.
    names: BTreeMap<u64, String>,
}

/// The texts of `conformance/texts.json`. Without them the kit cannot judge an error, so it ends there.
pub static TEXTS: LazyLock<Texts> = LazyLock::new(|| Texts::read().unwrap());

impl Texts {
    fn read() -> Result<Texts, String> {
        let row = |row: &Value| {
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            Row {
                class: text("class"),
                when: text("when"),
                text: text("text"),
                codes: row["codes"]
                    .as_array()
                    .map(|codes| codes.iter().filter_map(Value::as_u64).collect()),
                servers: row["servers"].as_u64(),
            }
        };
        let part = |part: &Value| {
            let text = |field: &str| part[field].as_str().unwrap_or_default().to_owned();
            let (part, when, text) = (text("part"), text("when"), text("text"));
            Part { part, when, text }
        };
        let name = |code: &Value| Some((code["code"].as_u64()?, code["name"].as_str()?.to_owned()));
        let (texts, codes) = (file("texts.json")?, file("vectors/codes.json")?);
        Ok(Texts {
            rows: list(&texts, "texts").iter().map(row).collect(),
            parts: list(&texts, "parts").iter().map(part).collect(),
            names: list(&codes, "codes").iter().filter_map(name).collect(),
        })
    }

    /// What is wrong with what this error of a client of these servers says.
    pub fn fault(&self, error: &Value, servers: &[String]) -> Option<String> {
        let said = error["message"].as_str().unwrap_or_default();
        let said = said.strip_prefix(PACKAGE).unwrap_or(said);
        let filling = Filling::of(error, servers, &self.names);
        let rows = self.rows_for(error, filling.failures);
        if rows.iter().any(|row| filling.fits(&row.text, said)) {
            return None;
        }
        let expected: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        Some(format!(
            "the message is not as conformance/texts.json has it: {}",
            expected.join(", or ")
        ))
    }

    /// The rows of which one has to fit.
    fn rows_for(&self, error: &Value, failures: u64) -> Vec<&Row> {
        let of_class: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| error["class"] == row.class.as_str())
            .collect();
        let code = error["code"].as_u64();
        let is_for = |row: &&&Row| {
            let codes = row.codes.as_ref();
            let is_code = codes.is_some_and(|codes| code.is_some_and(|code| codes.contains(&code)));
            is_code || row.servers == Some(failures)
        };
        let special: Vec<&Row> = of_class.iter().filter(is_for).copied().collect();
        let is_general = |row: &&Row| row.codes.is_none() && row.servers.is_none();
        match special.is_empty() {
            true => of_class.into_iter().filter(is_general).collect(),
            false => special,
        }
    }

    /// The name of a code, as an error shows it.
    fn name(names: &BTreeMap<u64, String>, code: u64) -> String {
        let name = names.get(&code).cloned();
        name.unwrap_or_else(|| format!("code {code}"))
    }
}

fn file(name: &str) -> Result<Value, String> {
    let path = repository().join("conformance").join(name);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// What is known of what stands in the place of the braces.
struct Filling<'a> {
    servers: &'a [String],
    failures: u64,
    known: BTreeMap<&'static str, String>,
}

impl Filling<'_> {
    fn of<'a>(error: &Value, servers: &'a [String], names: &BTreeMap<u64, String>) -> Filling<'a> {
        let failures = list(error, "failures");
        let listed: Vec<String> = failures
            .iter()
            .map(|failure| {
                let text = |field: &str| failure[field].as_str().unwrap_or_default();
                format!("{}: {}", text("server"), text("cause"))
            })
            .collect();
        let mut known = BTreeMap::from([
            ("failures", listed.join("; ")),
            ("count", failures.len().to_string()),
        ]);
        if let Some(code) = number(&error["code"]) {
            known.insert("code", Texts::name(names, code));
        }
        Filling {
            servers,
            failures: failures.len() as u64,
            known,
        }
    }

    /// Whether the text is said, with one of the servers in the place of `{server}`, and an option in that of `{option}`.
    fn fits(&self, text: &str, said: &str) -> bool {
        // An option comes first, and has no blanks.
        let first = said.split(' ').next().unwrap_or_default();
        let nobody = [String::new()];
        let servers = match text.contains("{server}") {
            true => self.servers,
            false => &nobody,
        };
        servers.iter().any(|server| {
            let known = |name: &str| match name {
                "server" => Some(server.as_str()),
                "option" => is_option(first).then_some(first),
                name => self.known.get(name).map(String::as_str),
            };
            let is_known = !text.contains("{option}") || is_option(first);
            is_known && matches(&pieces(text, known), said)
        })
    }
}

/// Whether this is the name of an option, in the spelling of any language.
fn is_option(word: &str) -> bool {
    let plain = |word: &str| word.replace('_', "").to_lowercase();
    let word = plain(word);
    // Where a time is a number, its unit belongs to the name.
    let word = word.strip_suffix("ms").unwrap_or(&word);
    OPTIONS.iter().any(|option| plain(option) == word)
}

/// A piece of a text.
enum Piece {
    /// This.
    Known(String),
    /// One character or more.
    Any,
    /// What somebody has given, between quotation marks.
    Quoted,
}

/// A text in pieces.
fn pieces<'a>(text: &str, known: impl Fn(&str) -> Option<&'a str>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').unwrap_or((behind, ""));
        pieces.push(Piece::Known(before.to_owned()));
        pieces.push(match known(name) {
            Some(value) => Piece::Known(value.to_owned()),
            None if name == "given" => Piece::Quoted,
            None => Piece::Any,
        });
        rest = behind;
    }
    pieces.push(Piece::Known(rest.to_owned()));
    pieces
}

/// Whether the pieces stand there one behind the other, and nothing else.
fn matches(pieces: &[Piece], said: &str) -> bool {
    let Some((first, others)) = pieces.split_first() else {
        return said.is_empty();
    };
    let is_behind = |end: usize| matches(others, &said[end..]);
    match first {
        Piece::Known(piece) => said.starts_with(piece.as_str()) && is_behind(piece.len()),
        Piece::Any => said
            .char_indices()
            .any(|(at, c)| is_behind(at + c.len_utf8())),
        Piece::Quoted => {
            let mut ends = said.match_indices('"').skip(1);
            said.starts_with('"') && ends.any(|(at, mark)| is_behind(at + mark.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_right(error: Value) -> bool {
        let servers = ["tls://a:1".to_owned(), "b:2".to_owned()];
        TEXTS.fault(&error, &servers).is_none()
    }

    #[test]
    fn an_error_says_what_stands_in_the_table() {
        let refused = |code: u64, message: &str| {
            is_right(json!({"class": "refused", "code": code, "message": message}))
        };
        let many = "(ask for as many as it allows, or raise its --max-count)";
        assert!(refused(
            32,
            &format!("b:2 refused the request with badCount: no {many}")
        ));
        assert!(refused(
            32,
            &format!("ipseity: b:2 refused the request with badCount: no {many}")
        ));
        // Another server, another code, nothing said, another advice, and more than the text.
        assert!(!refused(
            32,
            &format!("c:2 refused the request with badCount: no {many}")
        ));
        assert!(!refused(
            32,
            &format!("b:2 refused the request with exhausted: no {many}")
        ));
        assert!(!refused(
            32,
            &format!("b:2 refused the request with badCount:  {many}")
        ));
        assert!(!refused(
            32,
            "b:2 refused the request with badCount: no (correct the request)"
        ));
        assert!(!refused(
            32,
            &format!("b:2 refused the request with badCount: no {many}.")
        ));
        assert!(refused(
            44,
            "tls://a:1 refused the request with code 44: no (correct the request)"
        ));
        assert!(!refused(
            44,
            &format!("tls://a:1 refused the request with code 44: no {many}")
        ));
    }

    #[test]
    fn an_unavailable_lists_what_it_tells() {
        let unavailable = |count: usize, message: &str| {
            let failures = json!([{"server": "tls://a:1", "cause": "no"}, {"server": "b:2", "cause": "it {is} full"}]);
            let failures = &failures.as_array().unwrap()[..count];
            is_right(json!({"class": "unavailable", "message": message, "failures": failures}))
        };
        let later = "(try again later; if it goes on, look at the server";
        let both = "none of 2 servers answered: tls://a:1: no; b:2: it {is} full";
        assert!(unavailable(2, &format!("{both} {later}s)")));
        assert!(unavailable(1, &format!("tls://a:1: no {later})")));
        assert!(!unavailable(
            1,
            &format!("none of 1 servers answered: tls://a:1: no {later}s)")
        ));
        assert!(!unavailable(2, &format!("{both}; c:3: no {later}s)")));
        assert!(!unavailable(
            2,
            &format!("{} {later}s)", both.replace('2', "3"))
        ));
        assert!(!unavailable(2, both));
    }

    #[test]
    fn a_wrong_option_is_named_in_the_spelling_of_the_language() {
        let wrong = |message: &str| is_right(json!({"class": "configuration", "message": message}));
        for option in [
            "connect_timeout",
            "ConnectTimeout",
            "connectTimeout",
            "connectTimeoutMs",
        ] {
            assert!(wrong(&format!("{option} is 0: it must be more than 0")));
        }
        assert!(wrong(
            "\"a:0\" is not an address ([tls://]HOST[:PORT]): its port is 0"
        ));
        assert!(!wrong("timeout is 0: it must be more than 0"));
        assert!(!wrong(
            "the option connect_timeout is 0: it must be more than 0"
        ));
        assert!(!wrong("connect_timeout is wrong"));
        assert!(!wrong("a:0 is not an address"));
    }
}

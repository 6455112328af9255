//! The directives: comments that say how to put a bug into the next line.
//!
//! ```text
//! // bug ConflictUnseen: return false;
//! // bug BootNotRaised: let boots = if BUG { 0 } else { boots };
//! // bug JoinIgnored instead: None if joins && !BUG => Phase::Joining,
//! ```
//!
//! The first form is a statement that runs only with the bug. If the statement has the word `BUG`, as in the second
//! form, it always runs, and `BUG` is true if the bug is on. The third form replaces the next line, and always has
//! that word. A line can have only one directive of the third form, and any number of the others above it.
//!
//! A directive is one line, and becomes one line in the copy. So the line number in a compiler error is right for the
//! original too.

/// A file with its directives expanded.
#[derive(Debug)]
pub struct Expanded {
    /// The program text.
    pub text: String,
    /// The bugs in it, in order; one may be there more than once.
    pub names: Vec<String>,
}

/// Why a file cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    /// The number of the line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

const MARK: &str = "// bug ";

/// Expands the directives of a file.
pub fn expand(text: &str) -> Result<Expanded, Error> {
    let mut expanded = Expanded {
        text: String::with_capacity(text.len()),
        names: Vec::new(),
    };
    // The replacement for the next line of code.
    let mut replacement: Option<String> = None;
    // The last directive that still waits for a line of code.
    let mut open: Option<usize> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fail = |what| Error { line: number, what };
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let new = if let Some(directive) = code.strip_prefix(MARK) {
            let directive = Directive::read(directive).map_err(fail)?;
            expanded.names.push(directive.name.to_owned());
            open = Some(number);
            match directive.replaces {
                true if replacement.is_some() => {
                    return Err(fail(
                        "the next line is already replaced by another directive",
                    ));
                }
                true => {
                    replacement = Some(directive.code());
                    String::new()
                }
                false => directive.code(),
            }
        } else if open.is_some() && (code.is_empty() || code.starts_with("//")) {
            return Err(fail("a line of code has to follow a directive"));
        } else {
            open = None;
            replacement.take().unwrap_or_else(|| code.to_owned())
        };
        if !new.is_empty() {
            expanded.text.push_str(indent);
        }
        expanded.text.push_str(&new);
        expanded.text.push('\n');
    }
    match open {
        Some(line) => Err(Error {
            line,
            what: "no line of code follows this directive",
        }),
        None => Ok(expanded),
    }
}

/// A parsed directive.
struct Directive<'a> {
    name: &'a str,
    replaces: bool,
    text: &'a str,
}

impl<'a> Directive<'a> {
    /// Reads what follows [`MARK`].
    fn read(directive: &'a str) -> Result<Directive<'a>, &'static str> {
        let (head, text) = directive
            .split_once(": ")
            .ok_or("a directive reads `// bug Name: STATEMENT` or `// bug Name instead: LINE`")?;
        let (name, replaces) = match head.strip_suffix(" instead") {
            Some(name) => (name, true),
            None => (head, false),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_name {
            return Err("the name of a bug is one word that begins with a capital letter");
        }
        let text = text.trim();
        if text.is_empty() {
            return Err("the directive is empty");
        }
        let directive = Directive {
            name,
            replaces,
            text,
        };
        if replaces && directive.with_switch().is_none() {
            return Err("a line without the word `BUG` is the same without the bug");
        }
        if !replaces && !text.ends_with([';', '}']) {
            return Err("a statement ends with `;` or `}`");
        }
        Ok(directive)
    }

    /// The line for the copy.
    fn code(&self) -> String {
        let switch = self.switch();
        self.with_switch()
            .unwrap_or_else(|| format!("if {switch} {{ {} }}", self.text))
    }

    fn switch(&self) -> String {
        format!("::bugs::is(\"{}\")", self.name)
    }

    /// The text with each word `BUG` replaced by the switch; `None` if there is no such word.
    fn with_switch(&self) -> Option<String> {
        const WORD: &str = "BUG";
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut code = String::new();
        let mut copied = 0;
        for (at, _) in self.text.match_indices(WORD) {
            let end = at + WORD.len();
            if !self.text[..at].ends_with(is_part) && !self.text[end..].starts_with(is_part) {
                code += &self.text[copied..at];
                code += &self.switch();
                copied = end;
            }
        }
        (copied > 0).then(|| code + &self.text[copied..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(text).expect("it is well formed").text
    }

    fn wrong(text: &str) -> (usize, &'static str) {
        let error = expand(text).expect_err("it is not well formed");
        (error.line, error.what)
    }

    #[test]
    fn a_statement_runs_only_with_the_bug() {
        assert_eq!(
            expanded("fn f() {\n    // bug Lost: return;\n    g();\n}\n"),
            "fn f() {\n    if ::bugs::is(\"Lost\") { return; }\n    g();\n}\n"
        );
    }

    #[test]
    fn a_statement_that_names_the_switch_always_runs() {
        assert_eq!(
            expanded("// bug Lost: let x = if BUG { 0 } else { x };\nf(x)\n"),
            "let x = if ::bugs::is(\"Lost\") { 0 } else { x };\nf(x)\n"
        );
        assert_eq!(
            expanded("// bug Lost: f(DEBUG, BUGS);\ng()\n"),
            "if ::bugs::is(\"Lost\") { f(DEBUG, BUGS); }\ng()\n"
        );
    }

    #[test]
    fn a_line_is_replaced_and_all_others_keep_their_place() {
        assert_eq!(
            expanded("a\n  // bug Lost instead: if b && !BUG {\n  if b {\n    c\n  }\n"),
            "a\n\n  if b && !::bugs::is(\"Lost\") {\n    c\n  }\n"
        );
    }

    #[test]
    fn a_line_can_have_several_directives() {
        let both = expand("// bug A: f();\n// bug B instead: g(BUG);\n// bug A: h();\ng(false);\n")
            .expect("it is well formed");
        assert_eq!(
            both.text,
            "if ::bugs::is(\"A\") { f(); }\n\nif ::bugs::is(\"A\") { h(); }\ng(::bugs::is(\"B\"));\n"
        );
        assert_eq!(both.names, ["A", "B", "A"]);
    }

    #[test]
    fn a_text_without_directives_stays_as_it_is() {
        let text = "//! // bug Lost: f();\n/// a bug: b\nlet s = \"// bug\"; // bug\n\n  x\n";
        assert_eq!(expanded(text), text);
    }

    #[test]
    fn an_error_names_its_line() {
        let twice = "// bug A instead: f(BUG)\n// bug B instead: g(BUG)\nf(false)\n";
        let behind = "a\n// bug A: b();\n";
        for (text, line, words) in [
            ("x\n// bug lost: f();\nx\n", 2, "capital letter"),
            ("// bug A B: f();\nx\n", 1, "one word"),
            ("// bug A, B: f();\nx\n", 1, "one word"),
            ("// bug A\nx\n", 1, "reads"),
            ("// bug in the old kernel\nx\n", 1, "reads"),
            ("// bug A: \nx\n", 1, "empty"),
            ("// bug A: return\nx\n", 1, "ends with"),
            ("// bug A instead: f(true)\nx\n", 1, "the same without"),
            (twice, 2, "already replaced"),
            (behind, 2, "no line of code follows"),
            ("// bug A: b();\n\nx\n", 2, "has to follow"),
            ("// bug A: b();\n// why\nx\n", 2, "has to follow"),
        ] {
            let (at, what) = wrong(text);
            assert_eq!(at, line, "{text}");
            assert!(what.contains(words), "{text}: {what}");
        }
    }
}

//! Asks an adapter every vector.

use std::fs;

use ipseity_harness::programs::repository;
use serde_json::{Value, json};

use crate::{
    adapter::{Adapter, Answer, PATIENCE},
    perform::Outcome,
    texts::TEXTS,
};

/// How many wrong answers of one file are shown.
const SHOWN_MAX: usize = 5;

/// The files, as rows of the table.
pub const FILES: [&str; 5] = ["frames", "malformed", "identities", "addresses", "codes"];

/// Asks for all vectors of one file.
pub fn examine(file: &str, adapter: &mut Adapter) -> Outcome {
    let wrong = match wrong_answers(file, adapter) {
        Ok(wrong) => wrong,
        Err(reason) => return Outcome::Failed(reason),
    };
    match wrong.len() {
        0 => Outcome::Passed,
        count => {
            let shown = wrong[..count.min(SHOWN_MAX)].join("\n");
            Outcome::Failed(format!("{count} of its vectors:\n{shown}"))
        }
    }
}

fn wrong_answers(file: &str, adapter: &mut Adapter) -> Result<Vec<String>, String> {
    let path = repository().join(format!("conformance/vectors/{file}.json"));
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let vectors: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut wrong = Vec::new();
    for question in questions(file, &vectors) {
        let answer = adapter.ask(question.command.clone(), PATIENCE)?;
        let is_right = match (&question.expected, &answer) {
            (Expected::Ok(all), Answer::Ok(done)) => all.iter().any(|one| one == done),
            (Expected::Class(class), Answer::Error(error)) => {
                error["class"] == **class
                    && (file != "addresses" || TEXTS.fault(error, &[]).is_none())
            }
            _ => false,
        };
        if !is_right {
            let Question {
                command,
                expected,
                why,
            } = question;
            wrong.push(format!(
                "{command}: expected {expected:?}{why}, got {answer:?}"
            ));
        }
    }
    Ok(wrong)
}

#[derive(Debug)]
enum Expected {
    /// One of these.
    Ok(Vec<Value>),
    Class(&'static str),
}

struct Question {
    command: Value,
    expected: Expected,
    why: String,
}

fn right(command: Value, expected: Value) -> Question {
    Question {
        command,
        expected: Expected::Ok(vec![expected]),
        why: String::new(),
    }
}

fn wrong(command: Value, class: &'static str, vector: &Value) -> Question {
    Question {
        command,
        expected: Expected::Class(class),
        why: format!(" ({})", vector["why"].as_str().unwrap_or_default()),
    }
}

fn questions(file: &str, vectors: &Value) -> Vec<Question> {
    let list = |name: &str| vectors[name].as_array().cloned().unwrap_or_default();
    match file {
        "frames" => list("frames").iter().map(of_frame).collect(),
        "malformed" => {
            let command = |vector: &Value| json!({"do": "decode", "bytes": vector["bytes"]});
            list("malformed")
                .iter()
                .map(|vector| wrong(command(vector), "protocol", vector))
                .collect()
        }
        "identities" => of_identities(list),
        "addresses" => {
            let command = |vector: &Value| json!({"do": "address", "text": vector["text"]});
            let valid = list("addresses");
            let invalid = list("invalid");
            let valid = valid
                .iter()
                .map(|vector| right(command(vector), vector["address"].clone()));
            let invalid = invalid
                .iter()
                .map(|vector| wrong(command(vector), "configuration", vector));
            valid.chain(invalid).collect()
        }
        _ => {
            let codes = list("codes");
            let question = |vector: &Value| {
                let expected = json!({"action": vector["action"], "closes": vector["closes"]});
                right(json!({"do": "code", "code": vector["code"]}), expected)
            };
            codes.iter().map(question).collect()
        }
    }
}

fn of_frame(vector: &Value) -> Question {
    let (message, bytes) = (&vector["message"], &vector["bytes"]);
    if vector["sender"] == "server" {
        return right(json!({"do": "decode", "bytes": bytes}), message.clone());
    }
    let mut allowed = vec![json!({ "bytes": bytes })];
    if *bytes == "000101" {
        allowed.push(json!({"bytes": "000d01000000010000000000000000"}));
    }
    Question {
        command: json!({"do": "encode", "message": message}),
        expected: Expected::Ok(allowed),
        why: String::new(),
    }
}

fn of_identities(list: impl Fn(&str) -> Vec<Value>) -> Vec<Question> {
    let identities = list("identities");
    let forms_of = |decimal: &Value| {
        let all = identities.iter().find(|forms| forms["decimal"] == *decimal);
        all.cloned()
    };
    let read = |function: &str, text: &Value| json!({"do": function, "text": text});
    let mut questions = Vec::new();
    for forms in &identities {
        for form in ["decimal", "hex", "pair"] {
            questions.push(right(read("identity", &forms[form]), forms.clone()));
        }
        questions.push(right(read("base32", &forms["base32"]), forms.clone()));
    }
    for (name, function) in [("also", "identity"), ("also_base32", "base32")] {
        for vector in list(name) {
            let identity = vector["decimal"]
                .as_str()
                .and_then(|text| text.parse().ok());
            let forms = forms_of(&vector["decimal"])
                .or_else(|| Some(crate::vectors::forms(identity?)))
                .unwrap_or_default();
            questions.push(right(read(function, &vector["text"]), forms));
        }
    }
    for (name, function) in [("invalid", "identity"), ("invalid_base32", "base32")] {
        for vector in list(name) {
            questions.push(wrong(
                read(function, &vector["text"]),
                "configuration",
                &vector,
            ));
        }
    }
    questions
}

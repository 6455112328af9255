//! The fenced blocks of a page of docs/, for tests that check whether the page is right.

use std::fs;

use crate::programs;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The words after the opening fence, like `frame identityRequest`.
    pub info: String,
    /// The lines between the fences, each with its end.
    pub text: String,
}

/// The text of a page, by its path in the repository.
pub fn read(path: &str) -> String {
    let path = programs::repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks whose info string has `word` as its first word, in the order of the page.
pub fn blocks(page: &str, word: &str) -> Vec<Fence> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let text: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        if info.split(' ').next() == Some(word) {
            let info = info.to_owned();
            blocks.push(Fence { info, text });
        }
    }
    blocks
}

/// A command of a `console` block, and the output that is shown below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The text after `$ `.
    pub command: String,
    /// The lines up to the next command, each with its end.
    pub output: String,
}

/// The commands of a `console` block.
pub fn examples(block: &Fence) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), examples.last_mut()) {
            (Some(command), _) => examples.push(Example {
                command: command.to_owned(),
                output: String::new(),
            }),
            (None, Some(example)) => example.output.extend([line, "\n"]),
            (None, None) => panic!("output before any command: {line:?}"),
        }
    }
    examples
}

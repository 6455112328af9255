//! What somebody may have meant who mistyped a word.

/// The most letters that may differ. With more of them, another word is as likely.
const DIFFERENCES_MAX: usize = 2;

/// The one of `words` that is most like `typed`, if one is like it: of two that are equally like it, the first.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = typed.chars().count();
    words
        .into_iter()
        .map(|word| (difference(typed, word), word))
        // A word of two letters is not like every other one.
        .filter(|(difference, word)| {
            *difference <= DIFFERENCES_MAX && *difference < letters.min(word.chars().count())
        })
        .min_by_key(|(difference, _)| *difference)
        .map(|(_, word)| word)
}

/// How many letters have to be put in, left out, replaced, or exchanged with the next one, to make one word of the other.
fn difference(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // A word that is far longer is not like it, and needs no table.
    if one.len().abs_diff(other.len()) > DIFFERENCES_MAX {
        return usize::MAX;
    }
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, against) in other.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(letter != against);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *against {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_has_a_nearest_one() {
        let words = ["next", "status", "ping", "watch"];
        for (typed, meant) in [
            ("nxt", Some("next")),
            ("enxt", Some("next")),
            ("statsu", Some("status")),
            ("wacht", Some("watch")),
            ("pings", Some("ping")),
            ("frobnicate", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, words), meant, "{typed}");
        }
    }
}

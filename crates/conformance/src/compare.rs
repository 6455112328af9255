//! Whether an answer is what a scenario says.

use serde_json::Value;

/// The words that bound a number in place of giving it.
const BOUNDS: [&str; 4] = ["above", "below", "at_least", "at_most"];

/// Whether `actual` has what `expected` says. An object needs the fields that are named, and may have others. A number,
/// also one in a string, may be bounded: `{"at_least": 3, "below": 7}`. `{"one_of": [...]}` is any of a list.
pub fn matches(expected: &Value, actual: &Value) -> bool {
    let Some(fields) = expected.as_object() else {
        return expected == actual;
    };
    if let (1, Some(Value::Array(any))) = (fields.len(), fields.get("one_of")) {
        return any.iter().any(|one| matches(one, actual));
    }
    if !fields.is_empty() && fields.keys().all(|key| BOUNDS.contains(&key.as_str())) {
        let Some(actual) = number(actual) else {
            return false;
        };
        return fields.iter().all(|(bound, value)| {
            number(value).is_some_and(|value| match bound.as_str() {
                "above" => actual > value,
                "below" => actual < value,
                "at_least" => actual >= value,
                _ => actual <= value,
            })
        });
    }
    actual.is_object()
        && fields.iter().all(|(name, value)| {
            actual
                .get(name)
                .is_some_and(|actual| matches(value, actual))
        })
}

/// A number, which may stand in a string.
pub fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_at_least_what_is_said() {
        let answer = json!({"identity": "1025", "refills": 3, "newest": null});
        for good in [
            json!({}),
            json!({"identity": "1025"}),
            json!({"identity": {"above": "1024"}, "refills": {"at_least": 3, "at_most": 3}}),
            json!({"newest": null}),
            json!({"refills": {"one_of": [1, 3]}}),
        ] {
            assert!(matches(&good, &answer), "{good}");
        }
        for bad in [
            json!({"identity": "1026"}),
            json!({"identity": 1025}),
            json!({"identity": {"above": "1025"}}),
            json!({"refills": {"below": 3}}),
            json!({"refills": {"one_of": [1, 2]}}),
            json!({"refills": {"one_of": []}}),
            json!({"other": 1}),
            json!({"newest": {"at_least": 0}}),
            json!("1025"),
        ] {
            assert!(!matches(&bad, &answer), "{bad}");
        }
    }
}

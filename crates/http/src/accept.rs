//! The header `Accept`: whether a client wants identities as JSON or as lines of text. It imports only the exchange.

use crate::exchange::Form;

/// How much a client wants each form, in thousandths. Nothing of what it asks for is refused: who wants neither gets
/// JSON.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accepted {
    text: Option<u16>,
    json: Option<u16>,
    anything: u16,
}

impl Accepted {
    /// Takes the value of one header.
    pub(crate) fn add(&mut self, value: &[u8]) {
        for range in value.split(|byte| *byte == b',') {
            let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let kind = parts.next().unwrap_or_default();
            let quality = parts.find_map(quality).unwrap_or(1000);
            let is = |name: &[u8]| kind.eq_ignore_ascii_case(name);
            if is(b"text/plain") || is(b"text/*") {
                self.text = self.text.max(Some(quality));
            } else if is(b"application/json") || is(b"application/*") {
                self.json = self.json.max(Some(quality));
            } else if is(b"*/*") {
                self.anything = self.anything.max(quality);
            }
        }
    }

    /// The form to answer in. Text has to be named, and to be wanted more than JSON if that is named too.
    pub(crate) fn form(self) -> Form {
        let is_text = match (self.text, self.json) {
            (Some(text), Some(json)) => text > json,
            (Some(text), None) => text > 0 && text >= self.anything,
            (None, _) => false,
        };
        match is_text {
            true => Form::Text,
            false => Form::Json,
        }
    }
}

/// The value of `q=0.8`, in thousandths. What is no such number counts as 1.
fn quality(part: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', value @ ..] = part else {
        return None;
    };
    let number = str::from_utf8(value).ok()?.parse::<f32>().ok()?;
    // NaN and what is out of range become a number within it.
    Some((number.clamp(0.0, 1.0) * 1000.0) as u16)
}

//! The name of a cluster.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::fields::text;
use crate::limits::CLUSTER_NAME_BYTES_MAX;

/// The name of a cluster: 1 to 255 bytes of UTF-8 without control characters. Servers synchronize only
/// with servers of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name: 1 to 255 bytes without control characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClusterName {
    /// The name of a cluster that was given none: `ipseity`.
    fn default() -> Self {
        ClusterName("ipseity".to_owned())
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClusterName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl TryFrom<String> for ClusterName {
    type Error = ClusterNameError;

    fn try_from(name: String) -> Result<Self, ClusterNameError> {
        if name.is_empty() || name.len() > CLUSTER_NAME_BYTES_MAX {
            return Err(ClusterNameError::Length(name.len()));
        }
        // The name stands in log lines and error texts, where a control character could forge a line.
        if name.chars().any(char::is_control) {
            return Err(ClusterNameError::Control);
        }
        Ok(ClusterName(name))
    }
}

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(name: &str) -> Result<Self, ClusterNameError> {
        ClusterName::try_from(name.to_owned())
    }
}

/// Why a text is no cluster name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterNameError {
    /// Empty, or longer than 255 bytes; the length in bytes.
    Length(usize),
    /// It holds a control character.
    Control,
}

impl fmt::Display for ClusterNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => {
                write!(
                    f,
                    "a cluster name has 1 to {CLUSTER_NAME_BYTES_MAX} bytes, this one has {length}"
                )
            }
            Self::Control => f.write_str("a cluster name holds no control characters"),
        }
    }
}

impl std::error::Error for ClusterNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names_have_1_to_255_bytes_and_no_control_characters() {
        assert_eq!("".parse::<ClusterName>(), Err(ClusterNameError::Length(0)));
        assert_eq!(
            "x".repeat(256).parse::<ClusterName>(),
            Err(ClusterNameError::Length(256))
        );
        assert_eq!(
            "a\nb".parse::<ClusterName>(),
            Err(ClusterNameError::Control)
        );
        assert_eq!(
            "x".repeat(255)
                .parse::<ClusterName>()
                .unwrap()
                .as_str()
                .len(),
            255
        );
        assert_eq!("Grüße".parse::<ClusterName>().unwrap().to_string(), "Grüße");
    }
}

//! What a client and a server say of themselves before the first request.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{fields::text, name::ClusterName, status::Standing};
use crate::{identity::Pid, limits::VERSION_BYTES_MAX};

/// What a client says and asks before its first request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster that the client expects; `None` for any. On the wire that is an empty name.
    #[serde(serialize_with = "write_name", deserialize_with = "name_or_none")]
    pub cluster: Option<ClusterName>,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The cluster that the server belongs to.
    pub cluster: ClusterName,
    /// The version of the server, at most [`VERSION_BYTES_MAX`] bytes.
    #[serde(deserialize_with = "version")]
    pub version: String,
    /// The version of the synchronization messages that it speaks.
    pub wire_version: u16,
    /// The most identities that one request may ask for.
    pub count_max: u32,
    /// Its own number in the cluster, 0 to 1023.
    pub pid: Pid,
    /// Whether it hands out identities.
    pub standing: Standing,
}

fn write_name<S: Serializer>(name: &Option<ClusterName>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_ref().map_or("", ClusterName::as_str))
}

fn name_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ClusterName>, D::Error> {
    match text(from)? {
        name if name.is_empty() => Ok(None),
        name => name.try_into().map(Some).map_err(D::Error::custom),
    }
}

fn version<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match text(from)? {
        version if version.len() > VERSION_BYTES_MAX => {
            Err(D::Error::custom("a version is too long"))
        }
        version => Ok(version),
    }
}

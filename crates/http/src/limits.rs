//! The bounds of HTTP, each with its reason. This module imports nothing of ours.

/// The greatest length of a head: the request line and the headers. Browsers send up to 2 KiB without cookies, and this
/// server sets none. It is what most servers take.
pub const HTTP_HEAD_BYTES_MAX: usize = 8 * 1024;

/// The most headers in one request. A browser behind two proxies sends about 30.
pub const HTTP_HEADERS_MAX: usize = 64;

/// The greatest length of a body. No request needs one: a body is skipped, so that a client that always sends one can
/// ask too.
pub const HTTP_BODY_BYTES_MAX: usize = 4 * 1024;

/// The most identities in one answer over HTTP, whatever `--max-count` allows. An identity takes up to 22 bytes in JSON,
/// so an answer stays below what may wait for one connection (256 KiB, unless `--max-pending-bytes` says otherwise).
/// Larger blocks are for the binary protocol, whose answer always has fifteen bytes.
pub const HTTP_COUNT_MAX: u32 = 10_000;

const _: () = assert!(HTTP_COUNT_MAX as usize * IDENTITY_JSON_BYTES_MAX < 256 * 1024);

/// An identity in JSON: 19 digits, two quotes and a comma.
const IDENTITY_JSON_BYTES_MAX: usize = 19 + 2 + 1;

/// The greatest length of a name in `--http-name`, as in DNS.
pub const HOST_NAME_BYTES_MAX: usize = 255;

/// How many characters of a name that a client has sent are shown in a refusal.
pub const SHOWN_CHARACTERS_MAX: usize = 64;

/// After how many seconds a client may ask again that was answered with 503. What goes by itself, like a start, takes
/// seconds.
pub const RETRY_AFTER_S: u32 = 1;

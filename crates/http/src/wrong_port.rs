//! HTTP that comes to the port of the binary protocol.

/// What requests of HTTP begin with. No frame does: read as a length, two letters are more than any may have.
const BEGINNINGS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"PATCH ",
    b"OPTIONS ",
    b"TRACE ",
    b"CONNECT ",
    b"PRI * HTTP/",
];

/// One byte is too few to tell. A frame with such a length is refused as soon as both bytes of it have arrived.
const BYTES_MIN: usize = 2;

/// Whether bytes begin like a request of HTTP, HTTP/2 included. The first two bytes are enough.
#[cold]
pub fn looks_like_http(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| {
        let length = beginning.len().min(bytes.len());
        length >= BYTES_MIN && bytes[..length] == beginning[..length]
    })
}

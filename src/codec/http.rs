//! HTTP as a codec: its requests become the messages that frames have too, and pages.

use ipseity_core::words::{ErrorCode, ErrorReply, Message};
use ipseity_frames::FrameDecoder;
use ipseity_http::{Asked, Content, Exchange, HostNames, Refusal, StatusCode, What, empty_lines};
use ipseity_monitor::{Health, metrics_text, status_json};

use super::Inbound;
use crate::mailbox::{HttpRequest, Page};

/// What an answer to a request for a page says.
#[derive(Debug)]
pub enum PageAnswer {
    /// How the server does, for a probe.
    Health(Health),
    /// The page for people.
    Overview,
    /// The request is refused.
    Refused(Refusal),
}

impl PageAnswer {
    pub(super) fn write(&self, exchange: Exchange, output: &mut Vec<u8>) {
        match self {
            PageAnswer::Health(health) => {
                let status = match health.ok {
                    true => StatusCode::Ok,
                    false => StatusCode::ServiceUnavailable,
                };
                let text = health.text.as_bytes();
                ipseity_http::write_text(exchange, status, Content::Text, text, output);
            }
            PageAnswer::Overview => ipseity_http::write_page(exchange, output),
            PageAnswer::Refused(refusal) => {
                ipseity_http::write_refusal(exchange, refusal, output);
            }
        }
    }
}

/// The next whole request. `exchange` then says how to answer it.
pub(super) fn next(
    exchange: &mut Exchange,
    read: &mut FrameDecoder,
    hosts: &HostNames,
) -> Option<Inbound> {
    // Where nothing follows, they must not look like the beginning of a request that never becomes whole.
    read.consume(empty_lines(read.rest()));
    let parsed = ipseity_http::parse(read.rest(), hosts)?;
    read.consume(parsed.consumed);
    *exchange = parsed.exchange;
    Some(match parsed.asked {
        Asked::Identities { count, after } => {
            // bug AfterIgnoredByHttp: let after = if BUG { 0 } else { after };
            Inbound::Message(Message::IdentityRequest { count, after })
        }
        Asked::Status | Asked::Metrics => Inbound::Message(Message::StatusRequest),
        Asked::Live => Inbound::Http(HttpRequest::Page(Page::Live)),
        Asked::Ready => Inbound::Http(HttpRequest::Page(Page::Ready)),
        Asked::Page => Inbound::Http(HttpRequest::Page(Page::Overview)),
        Asked::Refused(refusal) => Inbound::Http(HttpRequest::Refused(*refusal)),
    })
}

/// What the beginning of a request that has not been parsed yet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextPage {
    /// The status or the metrics, whose answer may be large.
    Look,
    /// Another page.
    Other,
}

/// Which page comes next. `None` as long as that has not arrived, and for everything that is not a page.
pub(super) fn next_page(read: &FrameDecoder) -> Option<NextPage> {
    let rest = read.rest();
    // They are skipped when the request is taken.
    let rest = &rest[empty_lines(rest)..];
    let path = rest
        .strip_prefix(b"GET ")
        .or_else(|| rest.strip_prefix(b"HEAD "))?;
    let looks = [b"/status".as_slice(), b"/metrics"];
    // `http://host/status` may be any page. It takes the turn of a look.
    let is_look = !path.starts_with(b"/") || looks.iter().any(|look| path.starts_with(look));
    match is_look {
        true => Some(NextPage::Look),
        false => Some(NextPage::Other),
    }
}

/// Appends the answer to a message that has come by HTTP.
#[cold]
pub(super) fn write(exchange: Exchange, message: &Message, output: &mut Vec<u8>) {
    match (message, exchange.asks()) {
        (Message::StatusReply(status), What::Metrics) => {
            let mut text = Vec::new();
            metrics_text(status, &mut text);
            ipseity_http::write_text(exchange, StatusCode::Ok, Content::Metrics, &text, output);
        }
        (Message::StatusReply(status), _) => {
            let text = status_json(status, None);
            ipseity_http::write_text(
                exchange,
                StatusCode::Ok,
                Content::Json,
                text.as_bytes(),
                output,
            );
        }
        (Message::ErrorReply(error), _) => ipseity_http::write_error(exchange, error, output),
        (message, _) => {
            debug_assert!(
                false,
                "nothing that comes by HTTP is answered with {message:?}"
            );
            let error = ErrorReply::new(ErrorCode::UnknownKind, "there is no such answer by HTTP");
            ipseity_http::write_error(exchange, &error, output);
        }
    }
}

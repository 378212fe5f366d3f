//! Answers that clients may keep: compressed as they like it (RFC 9110, section 12.5.3), tagged, and not sent again to
//! whoever has them (section 13.1.2).

use actix_web::http::header::{self, ContentType, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::{BufMut, Bytes, BytesMut};

use crate::service::menu::Representation;

/// A content coding that we have ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
}

/// The answer to a GET or HEAD for these bytes.
pub fn respond(request: &HttpRequest, representation: &Representation) -> HttpResponse {
    let accepted = best_coding(request.headers());
    let (body, name, suffix) = match (accepted, &representation.gzip, &representation.brotli) {
        (Coding::Brotli, _, Some(brotli)) => (brotli, Some("br"), "-br"),
        (Coding::Gzip | Coding::Brotli, Some(gzip), _) => (gzip, Some("gzip"), "-gzip"),
        _ => (&representation.identity, None, ""),
    };
    let is_known = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .any(|tags| names(tags.as_bytes(), &representation.tag));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, entity_tag(&representation.tag, suffix)));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    response.insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")));
    if is_known {
        return response.finish();
    }
    if let Some(name) = name {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(name)));
    }
    response.insert_header(ContentType::json()).body(body.clone())
}

/// A strong tag; other bytes, as another coding has, need another one.
fn entity_tag(tag: &Bytes, suffix: &str) -> HeaderValue {
    let mut value = BytesMut::with_capacity(tag.len() + suffix.len() + 2);
    value.put_u8(b'"');
    value.extend_from_slice(tag);
    value.extend_from_slice(suffix.as_bytes());
    value.put_u8(b'"');
    // Hexadecimal digits and quotes.
    HeaderValue::from_maybe_shared(value.freeze()).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether a list of tags names ours, in whatever coding, or any.
fn names(tags: &[u8], tag: &[u8]) -> bool {
    let Ok(tags) = std::str::from_utf8(tags) else { return false };
    tags.split(',').map(str::trim).any(|candidate| {
        let quoted = candidate.strip_prefix("W/").unwrap_or(candidate);
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let base =
            inner.map(|inner| inner.strip_suffix("-gzip").or(inner.strip_suffix("-br")).unwrap_or(inner));
        candidate == "*" || base.is_some_and(|base| base.as_bytes() == tag)
    })
}

/// The best of our codings that the client accepts; Brotli before gzip where it does not care.
fn best_coding(headers: &HeaderMap) -> Coding {
    let mut best = (0.0, Coding::Identity);
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        let Ok(value) = value.to_str() else { continue };
        for part in value.split(',') {
            let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
            let quality = parameters
                .trim()
                .strip_prefix("q=")
                .map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0));
            let coding = match name.trim() {
                name if name.eq_ignore_ascii_case("br") || name == "*" => Coding::Brotli,
                name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                    Coding::Gzip
                }
                name if name.eq_ignore_ascii_case("identity") => Coding::Identity,
                _ => continue,
            };
            if quality > best.0 || (quality > 0.0 && quality >= best.0 && coding == Coding::Brotli) {
                best = (quality, coding);
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(accept: &str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        best_coding(&headers)
    }

    #[test]
    fn clients_choose_the_coding() {
        for (accept, expected) in [
            ("", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("gzip, deflate, br", Coding::Brotli),
            ("br;q=0.5, gzip", Coding::Gzip),
            ("br;q=0, gzip;q=0", Coding::Identity),
            ("identity, gzip;q=0.5", Coding::Identity),
            ("*", Coding::Brotli),
            ("GZIP;q=0.001", Coding::Gzip),
            ("deflate, zstd", Coding::Identity),
            ("gzip;q=nonsense", Coding::Identity),
        ] {
            assert_eq!(coding(accept), expected, "{accept}");
        }
    }

    #[test]
    fn tags_are_ours_in_any_coding() {
        for (tags, expected) in [
            ("\"abc\"", true),
            ("W/\"abc-gzip\"", true),
            ("\"x\", \"abc-br\"", true),
            ("*", true),
            ("abc", false),
            ("\"abcd\"", false),
            ("", false),
        ] {
            assert_eq!(names(tags.as_bytes(), b"abc"), expected, "{tags}");
        }
    }
}

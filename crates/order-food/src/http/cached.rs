//! Answers that clients may keep: compressed as they like it (RFC 9110, section 12.5.3), tagged, and not sent again to
//! whoever has them (section 13.1.2).

use std::io::Read;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;

use super::negotiation::preferences;
use crate::service::Representation;

/// What answers of the API are.
pub const JSON: &str = "application/json";

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// What it is called, and what tags of answers that have it end in.
    const fn names(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(("gzip", "-gzip")),
            Self::Brotli => Some(("br", "-br")),
        }
    }
}

/// A file that is kept compressed with gzip, as nearly everybody takes it.
#[derive(Debug)]
pub struct PackedFile {
    gzip: &'static [u8],
    media_type: &'static str,
    tag: Bytes,
}

impl PackedFile {
    /// Of what gzip made of it.
    pub fn new(gzip: &'static [u8], media_type: &'static str) -> Self {
        Self { gzip, media_type, tag: Representation::tag(gzip) }
    }

    /// The answer to a GET or HEAD for it.
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let coding = best_coding(request.headers(), true, false);
        answer(request, &self.tag, self.media_type, coding, || match coding {
            Coding::Identity => self.unpacked(),
            Coding::Gzip | Coding::Brotli => Bytes::from_static(self.gzip),
        })
    }

    fn unpacked(&self) -> Bytes {
        let mut bytes = Vec::new();
        // What is compiled in is whole: a test unpacks it.
        let _ = GzDecoder::new(self.gzip).read_to_end(&mut bytes);
        bytes.into()
    }
}

/// The answer to a GET or HEAD for these bytes.
pub fn respond(
    request: &HttpRequest,
    representation: &Representation,
    media_type: &'static str,
) -> HttpResponse {
    let Representation { identity, gzip, brotli, tag } = representation;
    let coding = best_coding(request.headers(), gzip.is_some(), brotli.is_some());
    let body = match coding {
        Coding::Identity => None,
        Coding::Gzip => gzip.as_ref(),
        Coding::Brotli => brotli.as_ref(),
    };
    answer(request, tag, media_type, coding, || body.unwrap_or(identity).clone())
}

fn answer(
    request: &HttpRequest,
    tag: &Bytes,
    media_type: &'static str,
    coding: Coding,
    body: impl FnOnce() -> Bytes,
) -> HttpResponse {
    let coding = coding.names();
    let tag = entity_tag(tag, coding.map_or("", |(_, suffix)| suffix));
    let is_known =
        request.headers().get_all(header::IF_NONE_MATCH).any(|tags| names(tags.as_bytes(), tag.as_bytes()));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, tag));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    response.insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")));
    if is_known {
        return response.finish();
    }
    if let Some((name, _)) = coding {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(name)));
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type))).body(body())
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

/// Whether a list of tags names this one, compared weakly (RFC 9110, section 13.1.2), or any.
fn names(tags: &[u8], tag: &[u8]) -> bool {
    let Ok(tags) = std::str::from_utf8(tags) else { return false };
    tags.split(',').map(str::trim).any(|candidate| {
        candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate).as_bytes() == tag
    })
}

/// The best of the codings we have that the client accepts; Brotli before gzip before none where it does not care.
fn best_coding(headers: &HeaderMap, has_gzip: bool, has_brotli: bool) -> Coding {
    const LEAST: u16 = 1;
    let (mut gzip, mut brotli, mut identity, mut any) = (None, None, None, None);
    for (name, quality) in preferences(headers, &header::ACCEPT_ENCODING) {
        let is = |coding: &str| name.eq_ignore_ascii_case(coding);
        match name {
            "*" => any = Some(quality),
            _ if is("gzip") || is("x-gzip") => gzip = Some(quality),
            _ if is("br") => brotli = Some(quality),
            _ if is("identity") => identity = Some(quality),
            _ => {}
        }
    }
    let identity = identity.or(any).unwrap_or(LEAST);
    let mut best = (identity, Coding::Identity);
    let ours = [(has_gzip, gzip, Coding::Gzip), (has_brotli, brotli, Coding::Brotli)];
    for (_, wanted, coding) in ours.into_iter().filter(|(is_there, ..)| *is_there) {
        let quality = wanted.or(any).unwrap_or(0);
        if quality > 0 && quality >= best.0 {
            best = (quality, coding);
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
        best_coding(&headers, true, true)
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
            ("br;q=0, *", Coding::Gzip),
            ("gzip;q=0, br;q=0, *;q=0.5", Coding::Identity),
            ("br; Q=0, gzip", Coding::Gzip),
            ("gzip;q=nonsense", Coding::Gzip),
            ("gzip;q=.5", Coding::Gzip),
        ] {
            assert_eq!(coding(accept), expected, "{accept}");
        }
    }

    #[test]
    fn only_codings_that_are_there_are_chosen() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br, *;q=0.1"));
        assert_eq!(best_coding(&headers, true, false), Coding::Gzip);
        assert_eq!(best_coding(&headers, false, false), Coding::Identity);
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (tags, expected) in [
            ("\"abc-gzip\"", true),
            ("W/\"abc-gzip\"", true),
            ("\"x\", \"abc-gzip\"", true),
            ("*", true),
            // Another coding's bytes are others.
            ("\"abc\"", false),
            ("\"abc-br\"", false),
            ("abc-gzip", false),
            ("", false),
        ] {
            assert_eq!(names(tags.as_bytes(), b"\"abc-gzip\""), expected, "{tags}");
        }
    }
}

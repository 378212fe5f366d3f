//! What kinds of answers a client takes (RFC 9110, section 12.5.1).

use actix_web::http::header::{self, HeaderMap, HeaderName};

use super::error::ApiError;

/// The API answers in JSON; who takes none is told so before anything is done.
pub fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if quality(headers, "application/json") > 0 { Ok(()) } else { Err(ApiError::not_acceptable()) }
}

/// Whether a page is wanted rather than JSON, as by browsers.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    quality(headers, "text/html") > quality(headers, "application/json")
}

/// How much a media type is wanted, in thousandths: what its most specific range says.
fn quality(headers: &HeaderMap, media_type: &str) -> u16 {
    let mut best = (0, 0);
    let mut is_empty = true;
    for (range, quality) in preferences(headers, &header::ACCEPT).filter(|(range, _)| !range.is_empty()) {
        is_empty = false;
        let specificity = match range {
            "*/*" | "*" => 1,
            name if name.eq_ignore_ascii_case(media_type) => 3,
            name if is_kind_of(name, media_type) => 2,
            _ => continue,
        };
        if specificity > best.0 {
            best = (specificity, quality);
        }
    }
    // Who says nothing takes everything.
    if is_empty { MOST } else { best.1 }
}

/// The most that something can be wanted, in thousandths.
pub const MOST: u16 = 1000;

/// What a header such as `Accept` lists, and how much each is wanted, in thousandths (RFC 9110, section 12.4.2).
pub fn preferences<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'h str, u16)> {
    headers.get_all(name).filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(
        |element| {
            let (value, parameters) = element.split_once(';').unwrap_or((element, ""));
            let quality = parameters
                .split(';')
                .map(str::trim)
                .find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
            (value.trim(), quality.map_or(MOST, thousandths))
        },
    )
}

/// `0.5` is 500. Read generously, as are `.5`, which old clients of Java send, and more than three digits: what cannot be
/// read says nothing, so the value before it is wanted.
fn thousandths(quality: &str) -> u16 {
    let quality = quality.trim().trim_matches('"').parse::<f32>().unwrap_or(1.0).clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    let thousandths = (quality * f32::from(MOST)).ceil() as u16; // ok: NaN becomes 0
    thousandths
}

/// `application/*` for `application/json`.
fn is_kind_of(range: &str, media_type: &str) -> bool {
    let kind = range.strip_suffix("/*");
    kind.zip(media_type.split_once('/')).is_some_and(|(kind, (of, _))| kind.eq_ignore_ascii_case(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        for (accept, json, html) in [
            ("*/*", 1000, 1000),
            ("application/json", 1000, 0),
            ("application/*;q=0.5, */*;q=0.1", 500, 100),
            ("application/json;q=0, */*", 0, 1000),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 800, 1000),
            ("TEXT/HTML; charset=utf-8 ; q=0.3", 0, 300),
            ("application/json;q=1.0000", 1000, 0),
            ("application/json;Q=0.25;level=1", 250, 0),
            ("application/json;q=nonsense", 1000, 0),
            ("application/json; q=\"0\"", 0, 0),
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", 200, 1000),
            ("*", 1000, 1000),
            ("", 1000, 1000),
            (" ,", 1000, 1000),
            ("text/xml", 0, 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(
                (quality(&headers, "application/json"), quality(&headers, "text/html")),
                (json, html),
                "{accept}"
            );
        }
        assert_eq!(quality(&HeaderMap::new(), "text/html"), MOST);
    }
}

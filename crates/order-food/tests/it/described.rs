//! Whatever a test is answered, the description says that it may be.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::Value;

use crate::harness::Answer;

// ok: the same for all tests, and read only.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(order_food::openapi::document()).unwrap());

/// The answer's status is one of the operation's, and so is its reason if it is an error. Nothing is described about
/// paths that are not there, and about OPTIONS.
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let Some((template, item)) = paths
        .iter()
        .find(|(template, _)| *template == path)
        .or_else(|| paths.iter().find(|(template, _)| is_like(template, path)))
    else {
        return;
    };
    let status = answer.status.as_u16();
    let described = match method.as_str() {
        "OPTIONS" => return,
        "HEAD" => &item["get"],
        name => &item[name.to_lowercase()],
    };
    if described.is_null() {
        assert_eq!(status, 405, "{method} {template}: {}", answer.text);
        return;
    }
    let response = &described["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {template} says nothing of {status}: {}", answer.text);
    let reasons: Vec<_> = response["x-reasons"].as_array().into_iter().flatten().collect();
    if !reasons.is_empty() && !answer.text.is_empty() {
        assert!(reasons.contains(&&answer.json()["reason"]), "{method} {template} {status}: {}", answer.text);
    }
    for name in [
        "retry-after",
        "www-authenticate",
        "idempotent-replayed",
        "link",
        "etag",
        "ratelimit",
        "ratelimit-policy",
    ] {
        let mut described = response["headers"].as_object().into_iter().flat_map(|headers| headers.keys());
        let is_described = described.any(|header| header.eq_ignore_ascii_case(name));
        assert!(is_described || answer.header(name).is_empty(), "{method} {template} {status}: {name}");
    }
}

/// `/api/product/{productId}` and `/api/product/1`.
fn is_like(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(part, actual)| *part == actual || (part.starts_with('{') && !actual.is_empty()))
}

//! Which pages may call the API (Fetch standard, CORS protocol). There are no cookies.

use actix_cors::Cors;

use crate::config::AllowedOrigins;

const EXPOSED_HEADERS: [&str; 8] = [
    "etag",
    "idempotent-replayed",
    "link",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "traceresponse",
    "x-request-id",
];
const MAX_AGE_SECONDS: usize = 3600;

/// CORS for these origins, and for these methods, as `Allow` lists them.
pub fn cors(origins: &AllowedOrigins, methods: &str) -> Cors {
    let cors = Cors::default()
        .allowed_methods(methods.split(", "))
        // Libraries for tracing and monitoring add headers of their own to a page's requests.
        .allow_any_header()
        .expose_headers(EXPOSED_HEADERS)
        .max_age(MAX_AGE_SECONDS);
    match origins {
        AllowedOrigins::Any => cors.allow_any_origin().send_wildcard(),
        AllowedOrigins::List(origins) => {
            origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
        }
    }
}

//! What operations have in common: ids and traces, tags of what may be kept, rate limits.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ComponentsBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

/// Request headers that every operation takes.
const OFFERED: [(&str, &str); 2] = [
    (
        "X-Request-Id",
        "The request's id in logs and in the answer: up to 128 visible ASCII characters. Made up where none is sent.",
    ),
    (
        "traceparent",
        "The trace that the request belongs to (W3C Trace Context). One that cannot be read is ignored.",
    ),
];
/// And one that operations take whose answers may be kept.
const OFFERED_TO_CACHES: (&str, &str) = (
    "If-None-Match",
    "Tags of what the client has: if one of them is current, the answer is 304 without a body.",
);

/// Response headers.
const SENT: [(&str, Type, &str); 7] = [
    ("traceresponse", Type::String, "With traces on, where this request is in them (W3C Trace Context)."),
    ("X-Request-Id", Type::String, "The request's id."),
    ("ETag", Type::String, "Changes when the answer does; send it back in `If-None-Match`."),
    ("Retry-After", Type::Integer, "After how many seconds to try again."),
    ("WWW-Authenticate", Type::String, "`ApiKey`: send a key in `api_key` or `X-API-Key`."),
    (
        "RateLimit",
        Type::String,
        "With rate limits on: what is left, and in how many seconds all of it is back; on a 429, in how many the next request may be sent.",
    ),
    ("RateLimit-Policy", Type::String, "With rate limits on: how many requests in how many seconds."),
];

/// Adds to an operation what it shares with others. `is_api`: below `/api/`, where rate limits apply. `is_cached`: tagged,
/// so that clients can ask whether it has changed.
pub fn add(operation: &mut Operation, is_api: bool, is_cached: bool) {
    let parameters = operation.parameters.get_or_insert_default();
    for (name, _) in OFFERED {
        parameters.push(RefOr::Ref(Ref::new(format!("#/components/parameters/{name}"))));
    }
    if is_cached {
        parameters.push(RefOr::Ref(Ref::new(format!("#/components/parameters/{}", OFFERED_TO_CACHES.0))));
        let unchanged =
            ResponseBuilder::new().description("Not Modified: what `If-None-Match` names is still so.");
        operation.responses.responses.insert("304".to_owned(), unchanged.build().into());
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        refer(response, "X-Request-Id");
        refer(response, "traceresponse");
        if is_cached && matches!(status.as_str(), "200" | "304") {
            refer(response, "ETag");
        }
        if is_api {
            refer(response, "RateLimit");
            refer(response, "RateLimit-Policy");
        }
    }
}

fn refer(response: &mut Response, header: &str) {
    let reference = Ref::new(format!("#/components/headers/{header}"));
    response.headers.insert(header.to_owned(), RefOr::Ref(reference));
}

/// Declares what [`add`] refers to.
pub fn declare(document: &mut OpenApi) {
    let mut components = ComponentsBuilder::from(document.components.take().unwrap_or_default());
    for (name, what) in OFFERED.into_iter().chain([OFFERED_TO_CACHES]) {
        components = components.parameter(name, offered(name, what));
    }
    for (name, kind, what) in SENT {
        components = components.header(name, sent(kind, what));
    }
    document.components = Some(components.build());
}

/// What cannot be read is ignored, so any text will do.
fn offered(name: &str, what: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(what))
        .schema(Some(text))
        .build()
}

fn sent(kind: Type, what: &str) -> Header {
    let value = ObjectBuilder::new().schema_type(SchemaType::Type(kind));
    HeaderBuilder::new().schema(Some(value)).description(Some(what)).build()
}

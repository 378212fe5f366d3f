//! From the reasons for which an operation is refused to its responses.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};

use crate::http::reason::Reason;

/// Adds a response for each status that these reasons have. `is_api`: below `/api/`, where answers are JSON only.
pub fn add(operation: &mut Operation, is_api: bool, reasons: &[Reason]) {
    let mut by_status: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
    for reason in reasons {
        by_status.entry(reason.status().as_u16()).or_default().push(*reason);
    }
    if is_api {
        by_status.insert(StatusCode::NOT_ACCEPTABLE.as_u16(), vec![Reason::BadRequest]);
    }
    if operation.request_body.is_some() {
        by_status.insert(StatusCode::REQUEST_TIMEOUT.as_u16(), vec![Reason::BadRequest]);
    }
    for (status, reasons) in by_status {
        operation.responses.responses.insert(status.to_string(), response(status, &reasons).into());
    }
}

fn response(status: u16, reasons: &[Reason]) -> utoipa::openapi::Response {
    let names: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    let meaning =
        StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused");
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
    let mut response = ResponseBuilder::new()
        .description(format!("{meaning}: {}", list(&names)))
        .content("application/json", error)
        .extensions(Some(ExtensionsBuilder::new().add("x-reasons", json!(names)).build()));
    let headers: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        409 | 429 | 503 => &["Retry-After"],
        _ => &[],
    };
    for header in headers {
        response = response.header_ref(*header, Ref::new(format!("#/components/headers/{header}")));
    }
    response.build()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

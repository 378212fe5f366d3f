//! `GET /panic`

use actix_web::HttpResponse;

use crate::http::authorized::{Admin, Authorized};

/// Panics. Only routed with `ENABLE_FAULT_INJECTION=true`.
pub async fn get(_: Authorized<Admin>) -> HttpResponse {
    panic!("asked for by GET /panic") // ok: this endpoint exists to do so
}

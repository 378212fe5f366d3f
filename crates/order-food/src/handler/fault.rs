//! Faults on demand, with `ENABLE_FAULT_INJECTION=true`: `GET /panic`, and a process that dies at the worst moment.

use std::process;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::Scope;

use super::authentication::authenticate;
use super::error::ApiError;
use crate::app::AppState;

/// Panics. Only routed with `ENABLE_FAULT_INJECTION=true`; needs the scope `admin`.
pub async fn panic(request: HttpRequest, app: Data<AppState>) -> Result<HttpResponse, ApiError> {
    authenticate(&request, &app, Scope::Admin)?;
    panic!("asked for by GET /panic") // ok: this endpoint exists to do so
}

/// Ends the process, with nothing cleaned up, if the request asks for it with `X-Fault: after-commit` and faults are
/// on: the order is stored and nobody was told.
pub fn after_commit(request: &HttpRequest, app: &AppState) {
    let is_asked_for = request.headers().get("x-fault").is_some_and(|fault| fault == "after-commit");
    if app.with_fault_injection && is_asked_for {
        process::abort();
    }
}

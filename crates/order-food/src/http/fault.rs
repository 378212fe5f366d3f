//! Faults on demand, with `ENABLE_FAULT_INJECTION=true`: a process that dies at the worst moment.

use std::process;

use actix_web::HttpRequest;

use crate::state::AppState;

/// Ends the process, with nothing cleaned up, if the request asks for it with `X-Fault: after-commit` and faults are
/// on: the order is stored, and its client got no response.
pub fn after_commit(request: &HttpRequest, app: &AppState) {
    let is_asked_for = request.headers().get("x-fault").is_some_and(|fault| fault == "after-commit");
    if app.edge.with_fault_injection && is_asked_for {
        process::abort();
    }
}

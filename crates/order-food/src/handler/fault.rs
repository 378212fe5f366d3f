//! `GET /panic`, for trying out what a panic does

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::Scope;

use super::authentication::authenticate;
use super::error::ApiError;
use crate::app::AppState;

/// Panics. Only routed with `ENABLE_FAULT_INJECTION=true`; needs the scope `admin`.
pub async fn panic(request: HttpRequest, app: Data<AppState>) -> Result<HttpResponse, ApiError> {
    authenticate(&request, &app.keys, Scope::Admin)?;
    panic!("asked for by GET /panic") // ok: this endpoint exists to do so
}

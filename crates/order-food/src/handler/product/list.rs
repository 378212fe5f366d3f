//! `GET /api/product`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::cached::{JSON, respond};
use crate::http::error::ApiError;
use crate::http::json::ProductBody;
use crate::http::negotiation;
use crate::http::query::parameters;
use crate::http::reason::Reason;
use crate::state::AppState;

/// Why the menu may not be shown.
pub const REFUSALS: &[Reason] = &[
    Reason::ValidationFailed,
    Reason::RateLimited,
    Reason::DatabaseUnavailable,
    Reason::Overloaded,
    Reason::Internal,
];

/// Read the menu.
///
/// The whole of it, or the products of a category, or those with a text in their name.
#[utoipa::path(
    get, path = "/api/product", operation_id = "listProducts", tag = "product",
    params(
        ("category" = Option<String>, Query, nullable = false, description = "Only products of this category, upper or lower case."),
        ("q" = Option<String>, Query, nullable = false, description = "Only products with this in their name, upper or lower case."),
    ),
    responses((status = 200, description = "Products, in the order of their ids.", body = Vec<ProductBody<'static>>)),
)]
pub async fn list(request: HttpRequest, app: Data<AppState>) -> Result<HttpResponse, ApiError> {
    negotiation::check_json(request.headers())?;
    let [category, text] = parameters(&request, ["category", "q"])?;
    let menu = app.catalogue.menu.current().ok_or_else(ApiError::not_ready)?;
    Ok(match (category, text) {
        (None, None) => respond(&request, menu.whole(), JSON),
        (category, text) => respond(&request, &menu.filtered(category.as_deref(), text.as_deref()), JSON),
    })
}

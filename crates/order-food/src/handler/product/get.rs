//! `GET /api/product/{productId}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::ProductId;

use crate::http::cached::{JSON, respond};
use crate::http::error::ApiError;
use crate::http::json::{ProductBody, ProductIdText};
use crate::http::negotiation;
use crate::http::reason::Reason;
use crate::state::AppState;

/// Why a product may not be shown.
pub const REFUSALS: &[Reason] = &[
    Reason::InvalidId,
    Reason::NotFound,
    Reason::RateLimited,
    Reason::DatabaseUnavailable,
    Reason::Overloaded,
    Reason::Internal,
];

/// Look a product up.
#[utoipa::path(
    get, path = "/api/product/{productId}", operation_id = "getProduct", tag = "product",
    params(("productId" = ProductIdText, Path, example = "1", description = "The product's `id`.")),
    responses((status = 200, description = "The product.", body = ProductBody<'static>)),
)]
pub async fn get(
    request: HttpRequest,
    id: Path<String>,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    negotiation::check_json(request.headers())?;
    let id: ProductId = id
        .parse()
        .map_err(|error| ApiError::new(Reason::InvalidId, format!("the product id in the path {error}")))?;
    let menu = app.catalogue.menu.current().ok_or_else(ApiError::not_ready)?;
    let entry = menu.find(id).ok_or_else(|| ApiError::not_found("product"))?;
    Ok(respond(&request, &entry.json, JSON))
}

//! `GET /api/product/{productId}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::ProductId;

use crate::app::AppState;
use crate::handler::cached::respond;
use crate::handler::error::ApiError;
use crate::handler::reason::Reason;

/// One product of the menu.
pub async fn get(
    request: HttpRequest,
    id: Path<String>,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let id: ProductId = id
        .parse()
        .map_err(|error| ApiError::new(Reason::InvalidId, format!("the product id in the path {error}")))?;
    let menu = app.menu.current().ok_or_else(ApiError::not_ready)?;
    let entry = menu.find(id).ok_or_else(|| ApiError::not_found("product"))?;
    Ok(respond(&request, &entry.json))
}

//! `GET /api/product/{productId}`

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Path};
use domain::ProductId;

use crate::app::AppState;
use crate::handler::error::ApiError;
use crate::handler::reason::Reason;

/// One product of the menu.
pub async fn get(id: Path<String>, app: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let id: ProductId = id
        .parse()
        .map_err(|error| ApiError::new(Reason::InvalidId, format!("the product id in the path {error}")))?;
    let menu = app.menu.current().ok_or_else(ApiError::not_ready)?;
    let entry = menu.find(id).ok_or_else(|| ApiError::not_found("product"))?;
    Ok(HttpResponse::Ok().insert_header(ContentType::json()).body(entry.json.clone()))
}

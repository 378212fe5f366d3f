//! `GET /api/product`

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Query};
use serde::Deserialize;

use crate::app::AppState;
use crate::handler::error::ApiError;

/// What part of the menu is asked for.
#[derive(Debug, Deserialize)]
pub struct Filter {
    category: Option<String>,
    q: Option<String>,
}

/// The whole menu, or the products of a category (`category`), or those with a text in their name (`q`).
pub async fn list(filter: Query<Filter>, app: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let menu = app.menu.current().ok_or_else(ApiError::not_ready)?;
    let body = match filter.into_inner() {
        Filter { category: None, q: None } => menu.body(),
        Filter { category, q } => menu.filtered(category.as_deref(), q.as_deref()),
    };
    Ok(HttpResponse::Ok().insert_header(ContentType::json()).body(body))
}

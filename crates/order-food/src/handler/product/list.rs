//! `GET /api/product`

use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::app::AppState;
use crate::handler::cached::respond;
use crate::handler::error::ApiError;

/// What part of the menu is asked for.
#[derive(Debug, Deserialize)]
pub struct Filter {
    category: Option<String>,
    q: Option<String>,
}

/// The whole menu, or the products of a category (`category`), or those with a text in their name (`q`).
pub async fn list(
    request: HttpRequest,
    filter: Query<Filter>,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let menu = app.menu.current().ok_or_else(ApiError::not_ready)?;
    Ok(match filter.into_inner() {
        Filter { category: None, q: None } => respond(&request, menu.whole()),
        Filter { category, q } => respond(&request, &menu.filtered(category.as_deref(), q.as_deref())),
    })
}

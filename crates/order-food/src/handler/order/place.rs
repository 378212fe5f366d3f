//! `POST /api/order`

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::Scope;

use super::answer::OrderBody;
use super::request;
use crate::app::AppState;
use crate::handler::authentication::authenticate;
use crate::handler::body::read_json;
use crate::handler::error::ApiError;

/// Places an order. Checked in this order: key, size, media type, JSON, shape and limits (400), rules (422).
pub async fn place(
    request: HttpRequest,
    mut payload: Payload,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&request, &app.keys, Scope::CreateOrder)?;
    let body = read_json(&request, &mut payload).await?;
    let cart = request::decode(&body)?;
    let order = app.ordering.place(caller, cart).await?;
    Ok(HttpResponse::Ok().json(OrderBody::from(&order)))
}

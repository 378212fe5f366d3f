//! `GET /api/order/{orderId}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::{OrderId, Scope};
use uuid::Uuid;

use super::answer::OrderBody;
use crate::app::AppState;
use crate::handler::authentication::authenticate;
use crate::handler::error::ApiError;
use crate::handler::reason::Reason;

/// One order of the caller's; another client's is not found.
pub async fn get(
    request: HttpRequest,
    id: Path<String>,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&request, &app, Scope::ReadOrders)?;
    let id = Uuid::try_parse(&id)
        .map_err(|_| ApiError::new(Reason::InvalidId, "the order id in the path is not a UUID"))?;
    let order = app.ordering.find(caller, OrderId::from_uuid(id)).await?;
    let order = order.ok_or_else(|| ApiError::not_found("order"))?;
    Ok(HttpResponse::Ok().json(OrderBody::from(&order)))
}

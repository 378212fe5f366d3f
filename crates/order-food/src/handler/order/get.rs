//! `GET /api/order/{orderId}`

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::OrderId;
use uuid::Uuid;

use super::response::OrderBody;
use crate::http::authorized::{Authorized, ReadOrders};
use crate::http::error::ApiError;
use crate::http::reason::Reason;
use crate::state::AppState;

/// Why an order may not be shown.
pub const REFUSALS: &[Reason] = &[
    Reason::BadRequest,
    Reason::InvalidId,
    Reason::MissingApiKey,
    Reason::InvalidApiKey,
    Reason::InsufficientScope,
    Reason::NotFound,
    Reason::RateLimited,
    Reason::DatabaseUnavailable,
    Reason::Overloaded,
    Reason::Internal,
];

/// Look an order up.
///
/// One of the caller's; another client's is not found, unless the key has the scope `admin`. Needs the scope `read_orders`.
#[utoipa::path(
    get, path = "/api/order/{orderId}", operation_id = "getOrder", tag = "order",
    params(("orderId" = String, Path, format = "uuid", example = "01990a4c-5a00-7000-8000-000000000001", description = "The order's `id`.")),
    responses((status = 200, description = "The order.", body = OrderBody<'static>)),
    security(("api_key" = ["read_orders"]), ("x_api_key" = ["read_orders"])),
)]
pub async fn get(
    Authorized { caller, .. }: Authorized<ReadOrders>,
    id: Path<String>,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let id = Uuid::try_parse(&id)
        .map_err(|_| ApiError::new(Reason::InvalidId, "the order id in the path is not a UUID"))?;
    let order = app.ordering.find(caller, OrderId::from_uuid(id)).await?;
    let order = order.ok_or_else(|| ApiError::not_found("order"))?;
    Ok(HttpResponse::Ok().json(OrderBody::from(&order)))
}

//! `GET /api/order/{orderId}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::{OrderId, Scope};
use uuid::Uuid;

use super::answer::OrderBody;
use crate::app::AppState;
use crate::handler::accept;
use crate::handler::authentication::authenticate;
use crate::handler::error::ApiError;
use crate::handler::reason::Reason;

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
    request: HttpRequest,
    id: Path<String>,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    accept::check_json(request.headers())?;
    let caller = authenticate(&request, &app, Scope::ReadOrders)?;
    let id = Uuid::try_parse(&id)
        .map_err(|_| ApiError::new(Reason::InvalidId, "the order id in the path is not a UUID"))?;
    let order = app.ordering.find(caller, OrderId::from_uuid(id)).await?;
    let order = order.ok_or_else(|| ApiError::not_found("order"))?;
    Ok(HttpResponse::Ok().json(OrderBody::from(&order)))
}

//! `POST /api/order`

use actix_web::http::header::ContentType;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::Scope;

use crate::app::AppState;
use crate::handler::authentication::authenticate;
use crate::handler::body::read_json;
use crate::handler::error::ApiError;
use crate::handler::fault;
use crate::handler::idempotency::idempotency_key;
use crate::handler::limits;

/// Places an order. Checked in this order: key, size, media type, JSON, shape and limits (400), rules (422).
pub async fn place(
    request: HttpRequest,
    mut payload: Payload,
    app: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&request, &app, Scope::CreateOrder)?;
    let key = idempotency_key(request.headers())?;
    let body = read_json(&request, &mut payload).await?;
    let cart = limits::decode_cart(&request, &app, &body)?;
    let placed = app.ordering.place(caller, cart, key).await.map_err(ApiError::from);
    let placed = placed.inspect_err(|error| limits::note_refusal(&request, &app, error))?;
    fault::after_commit(&request, &app);
    let mut response = HttpResponse::Ok();
    if placed.is_replay {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.insert_header(ContentType::json()).body(placed.body))
}

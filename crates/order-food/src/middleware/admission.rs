//! The rate limit of an address: behind CORS, so that pages of other origins can read the refusal.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;

use crate::http::error::ApiError;
use crate::http::rate_limit;
use crate::state::AppState;

/// The middleware.
pub async fn admit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let Some(app) = request.app_data::<Data<AppState>>().cloned() else {
        return Err(ApiError::internal("a server without its state").into());
    };
    match rate_limit::check_address(&request, &app) {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(refused) => Ok(request.error_response(refused).map_into_right_body()),
    }
}

//! The closed list of reasons for which requests are refused.

use actix_web::http::StatusCode;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Why a request was refused, for programs. These are all; a later release may add to them, and changes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Reason {
    /// 400: something about the request that none of the others names. 406: the client takes no JSON. 408: it did not
    /// arrive in time.
    BadRequest,
    /// 400: the body is not JSON.
    InvalidJson,
    /// 400: an id in the path is not one.
    InvalidId,
    /// 400: the body or the query has the wrong shape; `errors` tells where.
    ValidationFailed,
    /// 401: no key was sent.
    MissingApiKey,
    /// 403: the key is unknown, expired or revoked.
    InvalidApiKey,
    /// 403: the key does not allow this.
    InsufficientScope,
    /// 404: there is no such path, product or order.
    NotFound,
    /// 405: the path has other methods; `Allow` lists them.
    MethodNotAllowed,
    /// 413: the body is too large.
    PayloadTooLarge,
    /// 415: the body is not declared as JSON.
    UnsupportedMediaType,
    /// 422: a product is not on the menu.
    UnknownProduct,
    /// 422: there is no such code.
    CouponUnknown,
    /// 422: the code cannot be one. No longer answered: an empty code is none, and one that is too long is 400.
    CouponMalformed,
    /// 422: the promotion has not begun.
    CouponNotStarted,
    /// 422: the promotion is over.
    CouponExpired,
    /// 422: the promotion was used as often as it may be.
    CouponLimitReached,
    /// 422: this client used the promotion as often as it may.
    CouponClientLimitReached,
    /// 422: the cart has too few items or is worth too little for the promotion.
    CouponMinimumNotMet,
    /// 400: the header Idempotency-Key is not a key.
    IdempotencyKeyInvalid,
    /// 422: the idempotency key was used for another request.
    IdempotencyKeyReused,
    /// 409: the first request with this idempotency key is still under way.
    IdempotencyInProgress,
    /// 429: too many requests, wrong keys or wrong codes.
    RateLimited,
    /// 503: the database is away; nothing was stored.
    DatabaseUnavailable,
    /// 503: the database went away while storing; the order is stored or not.
    OutcomeUnknown,
    /// 503: this process has too much to do, or does not have its data yet.
    Overloaded,
    /// 500: a fault of this program.
    Internal,
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Reason {
    /// The word and the status.
    const fn row(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST),
            Self::InvalidJson => ("invalid_json", StatusCode::BAD_REQUEST),
            Self::InvalidId => ("invalid_id", StatusCode::BAD_REQUEST),
            Self::ValidationFailed => ("validation_failed", StatusCode::BAD_REQUEST),
            Self::MissingApiKey => ("missing_api_key", StatusCode::UNAUTHORIZED),
            Self::InvalidApiKey => ("invalid_api_key", StatusCode::FORBIDDEN),
            Self::InsufficientScope => ("insufficient_scope", StatusCode::FORBIDDEN),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::PayloadTooLarge => ("payload_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::UnknownProduct => ("unknown_product", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CouponUnknown => ("coupon_unknown", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CouponMalformed => ("coupon_malformed", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CouponNotStarted => ("coupon_not_started", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CouponExpired => ("coupon_expired", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CouponLimitReached => ("coupon_limit_reached", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CouponClientLimitReached => {
                ("coupon_client_limit_reached", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::CouponMinimumNotMet => ("coupon_minimum_not_met", StatusCode::UNPROCESSABLE_ENTITY),
            Self::IdempotencyKeyInvalid => ("idempotency_key_invalid", StatusCode::BAD_REQUEST),
            Self::IdempotencyKeyReused => ("idempotency_key_reused", StatusCode::UNPROCESSABLE_ENTITY),
            Self::IdempotencyInProgress => ("idempotency_in_progress", StatusCode::CONFLICT),
            Self::RateLimited => ("rate_limited", StatusCode::TOO_MANY_REQUESTS),
            Self::DatabaseUnavailable => ("database_unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::OutcomeUnknown => ("outcome_unknown", StatusCode::SERVICE_UNAVAILABLE),
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The word that clients, metrics and traces see.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status that goes with it.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// The reason for a status that the framework chose.
    pub const fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            _ => Self::BadRequest,
        }
    }
}

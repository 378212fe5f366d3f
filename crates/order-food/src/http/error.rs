//! The one place where failures become HTTP answers, and the one shape that all of them have.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use database::Unusable;
use domain::{LimitKind, PromotionRefused, Scope};
use serde::Serialize;
use storage::StorageError;
use utoipa::ToSchema;

use super::reason::Reason;
use crate::service::readiness::DatabaseState;
use crate::service::{KeyRefused, OrderRefused};

/// One thing wrong in a body (a JSON pointer, RFC 6901) or in the query (`?name`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// An answer that is not the one hoped for. Handlers return it; the request middleware writes its body, because only
/// that knows the trace id.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    reason: Reason,
    message: String,
    errors: Vec<FieldError>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
    /// Whether it says that this process has no data yet. The reason for that is known elsewhere.
    is_not_ready: bool,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Every refusal and every failure looks like this.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Error, examples(json!({
    "code": 422, "type": "error", "message": "the order names products that are not on the menu",
    "reason": "unknown_product", "errors": [{"pointer": "/items/0/productId", "message": "is not on the menu"}],
    "traceId": "0af7651916cd43dd8448eb211c80319c",
})))]
pub struct ErrorBody<'e> {
    /// The status again.
    code: u16,
    /// `error`
    #[serde(rename = "type")]
    kind: &'static str,
    /// For people: says what is wrong, and may be worded otherwise at any time.
    message: &'e str,
    reason: Reason,
    /// Which parts of the request are wrong, as far as that can be said.
    errors: &'e [FieldError],
    /// Find the request by this in traces and logs.
    trace_id: &'e str,
}

impl ApiError {
    /// An error with that reason and nothing else to say.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let (status, message) = (reason.status(), message.into());
        Self { status, reason, message, errors: Vec::new(), header: None, is_not_ready: false, cause: None }
    }

    /// The body or the query is wrong in these places.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let message = match errors.as_slice() {
            [only] if only.pointer.is_empty() => format!("the body {}", only.message),
            [only] => format!("{} {}", only.pointer, only.message),
            several => format!("the request is wrong in {} places", several.len()),
        };
        Self { errors, ..Self::new(Reason::ValidationFailed, message) }
    }

    /// There is nothing at this path, or nothing that the caller may see.
    pub fn not_found(what: &str) -> Self {
        Self::new(Reason::NotFound, format!("there is no such {what}"))
    }

    /// The path has other methods.
    pub fn method_not_allowed(allow: &str) -> Self {
        let error = Self::new(Reason::MethodNotAllowed, format!("this path answers to {allow}"));
        match HeaderValue::from_str(allow) {
            Ok(allow) => error.with_header(header::ALLOW, allow),
            Err(_) => error,
        }
    }

    /// A page of another origin may not do this.
    pub fn preflight() -> Self {
        let message = "pages of this origin may not send this method";
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        Self::new(Reason::BadRequest, message).with_header(header::VARY, HeaderValue::from_static(vary))
    }

    /// The client takes no JSON.
    pub fn not_acceptable() -> Self {
        let status = StatusCode::NOT_ACCEPTABLE;
        Self {
            status,
            ..Self::new(Reason::BadRequest, "the API answers in application/json, which Accept excludes")
        }
    }

    /// Something here is broken; the log knows what.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let message = "the server failed; the log has the details under this trace id";
        Self { cause: Some(cause.into()), ..Self::new(Reason::Internal, message) }
    }

    /// What a failure of the framework's own looks like.
    pub fn of_framework(status: StatusCode) -> Self {
        let message = status.canonical_reason().unwrap_or("the request was refused").to_lowercase();
        Self { status, ..Self::new(Reason::of_status(status), message) }
    }

    fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some(Box::new((name, value))), ..self }
    }

    fn retry_after(self, pause: Duration) -> Self {
        self.with_header(header::RETRY_AFTER, HeaderValue::from(pause.as_secs().max(1)))
    }

    /// Why, for programs.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What went wrong behind it, for the log.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// The whole answer.
    pub fn response(&self, trace_id: &str) -> HttpResponse {
        let body = ErrorBody {
            code: self.status.as_u16(),
            kind: "error",
            message: &self.message,
            reason: self.reason,
            errors: &self.errors,
            trace_id,
        };
        self.builder().json(body)
    }

    fn builder(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(self.status);
        if let Some(header) = &self.header {
            response.insert_header(header.as_ref().clone());
        }
        response
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.builder().finish()
    }
}

const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        let answer = match &error {
            StorageError::Unavailable(_) => {
                let message = match error.unusable() {
                    None => "the database is unavailable; try again",
                    Some(Unusable::Standby) => "only a standby of the database is reachable; try again",
                    Some(Unusable::ReadOnly) => "the database is read-only; try again later",
                    Some(Unusable::Pooled | Unusable::Replaced) => {
                        "the database cannot be used as it is set up; try again later"
                    }
                };
                Self::new(Reason::DatabaseUnavailable, message).retry_after(RETRY_PAUSE)
            }
            StorageError::OutcomeUnknown(_) => {
                let message = "the order may or may not have been stored; send it again with the same Idempotency-Key, or look it up";
                Self::new(Reason::OutcomeUnknown, message).retry_after(RETRY_PAUSE)
            }
            StorageError::QueueFull => {
                return Self::new(Reason::Overloaded, "the server has too much to do; try again")
                    .retry_after(RETRY_PAUSE);
            }
            StorageError::KeyInProgress => {
                let message = "the first request with this idempotency key is still under way; ask again";
                return Self::new(Reason::IdempotencyInProgress, message).retry_after(RETRY_PAUSE);
            }
            StorageError::Refused | StorageError::Inconsistent { .. } | StorageError::Other(_) => {
                return Self::internal(error);
            }
        };
        Self { cause: Some(error.into()), ..answer }
    }
}

impl From<OrderRefused> for ApiError {
    fn from(refused: OrderRefused) -> Self {
        match refused {
            OrderRefused::NotReady => Self::not_ready(),
            OrderRefused::UnknownProducts(positions) => {
                let errors = positions.into_iter().map(|position| FieldError {
                    pointer: format!("/items/{position}/productId"),
                    message: "is not on the menu".to_owned(),
                });
                let message = "the order names products that are not on the menu";
                Self { errors: errors.collect(), ..Self::new(Reason::UnknownProduct, message) }
            }
            OrderRefused::UnknownCoupon => Self::coupon(Reason::CouponUnknown, "the coupon code is unknown"),
            OrderRefused::Promotion(refused) => {
                let reason = match refused {
                    PromotionRefused::NotStarted => Reason::CouponNotStarted,
                    PromotionRefused::Expired => Reason::CouponExpired,
                    PromotionRefused::TooFewItems(_) | PromotionRefused::SubtotalTooLow(_) => {
                        Reason::CouponMinimumNotMet
                    }
                };
                Self::coupon(reason, &format!("the coupon code {refused}"))
            }
            OrderRefused::LimitReached(LimitKind::Total) => {
                Self::coupon(Reason::CouponLimitReached, "the coupon code was used as often as it may be")
            }
            OrderRefused::LimitReached(LimitKind::PerClient) => {
                let message = "the coupon code was used as often as each client may use it";
                Self::coupon(Reason::CouponClientLimitReached, message)
            }
            OrderRefused::KeyReused => {
                let message =
                    "the idempotency key was used for another request; use a new key for a new order";
                Self::new(Reason::IdempotencyKeyReused, message)
            }
            OrderRefused::Storage(error) => error.into(),
        }
    }
}

impl ApiError {
    /// A coupon was refused.
    pub fn coupon(reason: Reason, message: &str) -> Self {
        let error = FieldError { pointer: "/couponCode".to_owned(), message: message.to_owned() };
        Self { errors: vec![error], ..Self::new(reason, message) }
    }

    /// This process was asked before it had its data.
    pub fn not_ready() -> Self {
        let error =
            Self::new(Reason::Overloaded, "the server has just started and has no data yet; try again");
        Self { is_not_ready: true, ..error }.retry_after(RETRY_PAUSE)
    }

    /// The answer to give instead where the database is the reason that there is no data.
    pub fn for_want_of_a_database(&self, database: DatabaseState) -> Option<Self> {
        let is_missing = match database {
            DatabaseState::Down | DatabaseState::Unusable(_) => true,
            DatabaseState::Up | DatabaseState::Unknown => false,
        };
        let cause = database.unusable().map(Into::into);
        (self.is_not_ready && is_missing).then(|| {
            // Without the cause: it is not a failure of this request, and would be logged as one.
            Self { cause: None, ..StorageError::Unavailable(cause).into() }
        })
    }
}

impl From<KeyRefused> for ApiError {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::NotReady => Self::not_ready(),
            KeyRefused::Invalid => {
                Self::new(Reason::InvalidApiKey, "the API key is unknown, expired or revoked")
            }
            KeyRefused::MissingScope(scope) => Self::missing_scope(scope),
        }
    }
}

impl ApiError {
    fn missing_scope(scope: Scope) -> Self {
        Self::new(Reason::InsufficientScope, format!("the API key lacks the scope {}", scope.as_str()))
    }

    /// Too much of something; `pause` tells when to come back.
    pub fn rate_limited(message: &str, pause: Duration) -> Self {
        let pause = Duration::from_secs(pause.as_secs() + u64::from(pause.subsec_nanos() > 0));
        Self::new(Reason::RateLimited, message).retry_after(pause)
    }

    /// No key was sent.
    pub fn missing_api_key() -> Self {
        // RFC 9110, section 11.6.1: a 401 names a scheme. There is no registered one for keys in a header.
        Self::new(Reason::MissingApiKey, "send an API key in the header api_key or X-API-Key")
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"))
    }
}

//! `GET /api/order`

use actix_web::http::header;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::{OrderId, Scope};
use serde::Deserialize;
use uuid::Uuid;

use super::answer::OrderBody;
use crate::app::AppState;
use crate::handler::authentication::authenticate;
use crate::handler::error::{ApiError, FieldError};
use crate::handler::reason::Reason;

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Which page is asked for.
#[derive(Debug, Deserialize)]
pub struct Page {
    limit: Option<String>,
    cursor: Option<String>,
}

/// The caller's orders, newest first. The next page is only in the `Link` header (RFC 8288), its cursor opaque.
pub async fn list(request: HttpRequest, app: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&request, &app, Scope::ReadOrders)?;
    let page = Query::<Page>::from_query(request.query_string());
    let page = page
        .map_err(|error| ApiError::new(Reason::BadRequest, format!("the query cannot be read: {error}")))?;
    let (limit, before) = page.parse()?;
    let (orders, next) = app.ordering.list(caller, before, limit).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = next {
        let link = format!("</api/order?limit={limit}&cursor={}>; rel=\"next\"", next.uuid().simple());
        response.insert_header((header::LINK, link));
    }
    Ok(response.json(orders.iter().map(OrderBody::from).collect::<Vec<_>>()))
}

impl Page {
    fn parse(&self) -> Result<(u32, Option<OrderId>), ApiError> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, message: String| {
            errors.push(FieldError { pointer: pointer.to_owned(), message });
        };
        let limit = self.limit.as_deref().map_or(Ok(DEFAULT_LIMIT), str::parse);
        let limit = limit.ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        if limit.is_none() {
            wrong("?limit", format!("must be a number from 1 to {MAX_LIMIT}"));
        }
        let before = match self.cursor.as_deref().map(Uuid::try_parse) {
            None => None,
            Some(Ok(id)) => Some(OrderId::from_uuid(id)),
            Some(Err(_)) => {
                wrong("?cursor", "is not a cursor from a Link header".to_owned());
                None
            }
        };
        match limit {
            Some(limit) if errors.is_empty() => Ok((limit, before)),
            _ => Err(ApiError::validation(errors)),
        }
    }
}

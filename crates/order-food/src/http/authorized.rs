//! Callers of the API, as handlers get them: a handler that takes one of these cannot forget to check it.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use domain::Scope;

use super::authentication::{authenticate, carries_key};
use super::error::ApiError;
use super::negotiation;
use crate::service::Caller;
use crate::state::AppState;

/// A scope that an endpoint needs.
pub trait RequiredScope {
    /// The scope.
    const SCOPE: Scope;
}

/// Needs `create_order`.
pub struct CreateOrder;
/// Needs `read_orders`.
pub struct ReadOrders;
/// Needs `admin`.
pub struct Admin;

impl RequiredScope for CreateOrder {
    const SCOPE: Scope = Scope::CreateOrder;
}

impl RequiredScope for ReadOrders {
    const SCOPE: Scope = Scope::ReadOrders;
}

impl RequiredScope for Admin {
    const SCOPE: Scope = Scope::Admin;
}

/// A caller that accepts JSON, whose key is good for the scope, and who is within its rate.
pub struct Authorized<S> {
    /// Who calls.
    pub caller: Caller,
    scope: PhantomData<S>,
}

/// The same where a key may be left out. A key that is sent must be good.
pub struct MaybeAuthorized<S> {
    /// Who calls, if a key was sent.
    pub caller: Option<Caller>,
    scope: PhantomData<S>,
}

impl<S: RequiredScope> FromRequest for Authorized<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(check(request, S::SCOPE).map(|caller| Self { caller, scope: PhantomData }))
    }
}

impl<S: RequiredScope> FromRequest for MaybeAuthorized<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = if carries_key(request.headers()) {
            check(request, S::SCOPE).map(Some)
        } else {
            negotiation::check_json(request.headers()).map(|()| None)
        };
        ready(caller.map(|caller| Self { caller, scope: PhantomData }))
    }
}

fn check(request: &HttpRequest, scope: Scope) -> Result<Caller, ApiError> {
    negotiation::check_json(request.headers())?;
    let app = request.app_data::<Data<AppState>>();
    let app = app.ok_or_else(|| ApiError::internal("a server without its state"))?;
    authenticate(request, app, scope)
}

//! What becomes known of a request on its way to the handler, for the middleware around it.

use std::cell::Cell;
use std::rc::Rc;

use domain::ClientId;

/// The facts of one request. Cloning gives another handle, so that they outlive a handler that panics.
#[derive(Debug, Clone, Default)]
pub struct RequestContext(Rc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    route: Cell<Option<&'static str>>,
    client: Cell<Option<ClientId>>,
    is_body_read: Cell<bool>,
}

impl RequestContext {
    /// The path of the route that answers, with the names of its parameters. There are few, however many paths are
    /// asked for.
    pub fn route(&self) -> Option<&'static str> {
        self.0.route.get()
    }

    /// Records the route that answers.
    pub fn set_route(&self, route: &'static str) {
        self.0.route.set(Some(route));
    }

    /// The client that sent the request.
    pub fn client(&self) -> Option<ClientId> {
        self.0.client.get()
    }

    /// Records the client.
    pub fn set_client(&self, client: ClientId) {
        self.0.client.set(Some(client));
    }

    /// Whether the body was read to its end.
    pub fn is_body_read(&self) -> bool {
        self.0.is_body_read.get()
    }

    /// Records that the body was read to its end.
    pub fn record_body_read(&self) {
        self.0.is_body_read.set(true);
    }
}

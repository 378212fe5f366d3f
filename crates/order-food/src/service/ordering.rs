//! Placing and finding orders.

use std::sync::Arc;

use domain::{Clock, CouponCode, Order, OrderId, OrderItem, OrderLine, OrderSnapshot};

use crate::repository::{OrderOwner, OrderRepository, RepositoryError};
use crate::service::{Caller, Menu};

/// What a client wants to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// At least one line, at most [`OrderItem::MAX_LINES`].
    pub items: Vec<OrderItem>,
    /// A code, if one was sent.
    pub coupon_code: Option<CouponCode>,
}

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderRefused {
    /// The menu has not been loaded yet.
    #[error("the menu has not been loaded yet")]
    NotReady,
    /// Products that are not on the menu, by the position of their line.
    #[error("products are not on the menu")]
    UnknownProducts(Vec<usize>),
    /// There is no such code.
    #[error("the coupon code is unknown")]
    UnknownCoupon,
    /// The database failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Takes orders.
pub struct Ordering {
    menu: Arc<Menu>,
    orders: Arc<dyn OrderRepository>,
    clock: Arc<dyn Clock>,
}

impl Ordering {
    /// Takes orders for what is on `menu`.
    pub fn new(menu: Arc<Menu>, orders: Arc<dyn OrderRepository>, clock: Arc<dyn Clock>) -> Self {
        Self { menu, orders, clock }
    }

    /// Prices the cart from one state of the menu and stores the order. `Ok` means that it is durable.
    pub async fn place(&self, caller: Caller, cart: Cart) -> Result<Order, OrderRefused> {
        let snapshot = self.price(&cart)?;
        let order = Order::place(caller.client_id, snapshot, self.clock.now());
        self.orders.insert(&order).await?;
        Ok(order)
    }

    fn price(&self, cart: &Cart) -> Result<OrderSnapshot, OrderRefused> {
        let menu = self.menu.current().ok_or(OrderRefused::NotReady)?;
        let mut unknown = Vec::new();
        let mut lines = Vec::with_capacity(cart.items.len());
        for (position, item) in cart.items.iter().enumerate() {
            match menu.find(item.product_id) {
                Some(entry) => lines.push(OrderLine::sell(&entry.product, item.quantity)),
                None => unknown.push(position),
            }
        }
        if !unknown.is_empty() {
            return Err(OrderRefused::UnknownProducts(unknown));
        }
        // No promotions yet: every code is unknown.
        if cart.coupon_code.is_some() {
            return Err(OrderRefused::UnknownCoupon);
        }
        Ok(OrderSnapshot::of(lines, None))
    }

    /// The order with that id, if the caller may see it.
    pub async fn find(&self, caller: Caller, id: OrderId) -> Result<Option<Order>, RepositoryError> {
        self.orders.find(id, caller.visible_orders()).await
    }

    /// A page of the orders the caller may see, newest first, and the id to go on from if there are more.
    pub async fn list(
        &self,
        caller: Caller,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<(Vec<Order>, Option<OrderId>), RepositoryError> {
        let owner: OrderOwner = caller.visible_orders();
        let mut orders = self.orders.list(owner, before, limit + 1).await?;
        let has_more = orders.len() > limit as usize;
        orders.truncate(limit as usize);
        let next = orders.last().filter(|_| has_more).map(|order| order.id);
        Ok((orders, next))
    }
}

//! From the bytes of an order request to a [`Cart`].

use actix_web::HttpRequest;
use domain::coupon::CouponCodeError;
use domain::{OrderItem, ProductId, Quantity};
use serde::de::MapAccess;
use utoipa::ToSchema;

use super::response::ItemBody;
use crate::http::decode::{self, Faults, Ignored, List, Members, Value, ignore, once};
use crate::http::error::ApiError;
use crate::http::rate_limit;
use crate::service::Cart;
use crate::state::AppState;

/// Reads an order request. A request with a coupon code is refused if its address has tried too many unknown codes.
pub fn decode_cart(request: &HttpRequest, app: &AppState, body: &[u8]) -> Result<Cart, ApiError> {
    let cart = decode(body)?;
    if cart.coupon_code.is_some() {
        rate_limit::check_wrong_codes(request, app)?;
    }
    Ok(cart)
}

/// Reads the body of an order request.
pub fn decode(body: &[u8]) -> Result<Cart, ApiError> {
    decode::decode(body, RawOrder::check)
}

/// What to order. Members that are not named here are ignored; members that stand twice are refused.
#[derive(Default, ToSchema)]
#[schema(as = OrderRequest, rename_all = "camelCase", examples(json!({
    "items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}], "couponCode": "SAVE10",
})))]
pub struct RawOrder<'a> {
    /// The lines. The same product may stand in several.
    #[schema(value_type = Vec<ItemBody>, required = true, min_items = 1, max_items = 100)]
    items: Option<Value<'a, Ignored, RawItem<'a>>>,
    /// A coupon code, upper and lower case as given; null or an empty text is the same as none. Blanks around it are left
    /// out. One that is not good is refused (422).
    #[schema(value_type = Option<String>, pattern = "^[ -~]{0,64}$")]
    coupon_code: Option<Value<'a>>,
    #[schema(ignore)]
    repeated: Vec<&'static str>,
}

#[derive(Default)]
struct RawItem<'a> {
    product_id: Option<Value<'a>>,
    quantity: Option<Value<'a>>,
    repeated: Vec<&'static str>,
}

impl<'a> Members<'a> for RawOrder<'a> {
    fn read<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "items" => once(&mut self.items, "/items", &mut self.repeated, map),
            "couponCode" => once(&mut self.coupon_code, "/couponCode", &mut self.repeated, map),
            _ => ignore(map),
        }
    }
}

impl<'a> Members<'a> for RawItem<'a> {
    const MOST_IN_LIST: usize = OrderItem::MAX_LINES;

    fn read<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "productId" => once(&mut self.product_id, "/productId", &mut self.repeated, map),
            "quantity" => once(&mut self.quantity, "/quantity", &mut self.repeated, map),
            _ => ignore(map),
        }
    }
}

impl RawOrder<'_> {
    fn check(self, faults: &mut Faults) -> Option<Cart> {
        for pointer in self.repeated {
            faults.add(pointer, "stands twice");
        }
        let items = match self.items {
            None => faults.missing("/items"),
            Some(Value::List(list)) => items(list, faults),
            Some(_) => {
                faults.add("/items", "must be a list");
                None
            }
        };
        let coupon_code = match self.coupon_code {
            None | Some(Value::Null) => None,
            Some(Value::Text(code)) => match code.parse() {
                Ok(code) => Some(code),
                // Forms send an empty field so.
                Err(CouponCodeError::Empty) => None,
                Err(error @ CouponCodeError::TooLong) => {
                    faults.add("/couponCode", error);
                    None
                }
            },
            Some(_) => {
                faults.add("/couponCode", "must be a string or null");
                None
            }
        };
        Some(Cart { items: items?, coupon_code })
    }
}

fn items(list: List<'_, RawItem<'_>>, faults: &mut Faults) -> Option<Vec<OrderItem>> {
    match list.len {
        0 => faults.add("/items", "must have at least one element"),
        1..=OrderItem::MAX_LINES => {}
        len => faults.add("/items", format!("has {len} elements; {} are allowed", OrderItem::MAX_LINES)),
    }
    let items: Vec<_> =
        list.elements.into_iter().enumerate().map(|(at, item)| order_item(item, at, faults)).collect();
    items.into_iter().collect()
}

fn order_item<'a>(item: Value<'a, RawItem<'a>>, at: usize, faults: &mut Faults) -> Option<OrderItem> {
    let Value::Object(item) = item else {
        faults.add(format!("/items/{at}"), "must be an object");
        return None;
    };
    for name in item.repeated {
        faults.add(format!("/items/{at}{name}"), "stands twice");
    }
    let pointer = |name: &str| format!("/items/{at}/{name}");
    let product_id = match item.product_id {
        None => faults.missing(pointer("productId")),
        Some(Value::Text(id)) => {
            id.parse::<ProductId>().map_err(|error| faults.add(pointer("productId"), error)).ok()
        }
        Some(_) => {
            faults.add(pointer("productId"), "must be a string");
            None
        }
    };
    let quantity = match item.quantity {
        None => faults.missing(pointer("quantity")),
        Some(Value::Integer(units)) => {
            Quantity::try_from(units).map_err(|error| faults.add(pointer("quantity"), error)).ok()
        }
        Some(_) => {
            faults.add(pointer("quantity"), format!("must be an integer from 1 to {}", Quantity::MAX));
            None
        }
    };
    Some(OrderItem { product_id: product_id?, quantity: quantity? })
}

//! From the bytes of an order request to a [`Cart`], naming everything that is wrong on the way.
//!
//! The body is read once, into values that may still be of any type; what they must be is checked after that, so that
//! every fault can be reported with its place. Unknown members are ignored, members that stand twice are refused:
//! two readers of such a body may see two different orders.

use std::borrow::Cow;
use std::fmt;

use domain::coupon::CouponCodeError;
use domain::{CouponCode, OrderItem, ProductId, Quantity};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::answer::ItemBody;
use crate::handler::error::{ApiError, FieldError};
use crate::handler::reason::Reason;
use crate::service::Cart;

/// Reads an order request.
pub fn decode(body: &[u8]) -> Result<Cart, ApiError> {
    let invalid = |what: String| ApiError::new(Reason::InvalidJson, format!("the body is not JSON: {what}"));
    // A byte order mark may be ignored (RFC 8259, section 8.1).
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| invalid(error.to_string()))?;
    let root: Value<'_, RawOrder<'_>> =
        serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let mut faults = Faults(Vec::new());
    let cart = root.check(&mut faults);
    match (cart, faults.0) {
        (Some((items, coupon_code)), faults) if faults.is_empty() => Ok(Cart { items, coupon_code }),
        (_, faults) => Err(ApiError::validation(faults)),
    }
}

/// What was found wrong so far.
struct Faults(Vec<FieldError>);

impl Faults {
    /// A body of nothing but faults does not make an answer without end.
    const MAX: usize = 20;

    fn add(&mut self, pointer: impl Into<String>, message: impl fmt::Display) {
        if self.0.len() < Self::MAX {
            self.0.push(FieldError { pointer: pointer.into(), message: message.to_string() });
        }
    }
}

/// A JSON value of whatever type; `O` is what its members are read into if it is an object.
enum Value<'a, O> {
    Null,
    Bool,
    Integer(i64),
    /// A number that is no 64-bit integer.
    Number,
    Text(Cow<'a, str>),
    List(RawList<'a>),
    Object(O),
}

/// The elements of a list, as far as an order may have so many, and how many there were.
struct RawList<'a> {
    items: Vec<Value<'a, RawItem<'a>>>,
    len: usize,
}

/// What to order. Members that are not named here are ignored; members that stand twice are refused.
#[derive(Default, ToSchema)]
#[schema(as = OrderRequest, rename_all = "camelCase", examples(json!({
    "items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}], "couponCode": "SAVE10",
})))]
pub struct RawOrder<'a> {
    /// The lines. The same product may stand in several.
    #[schema(value_type = Vec<ItemBody>, required = true, min_items = 1, max_items = 100)]
    items: Option<Value<'a, Ignored>>,
    /// A coupon code, upper and lower case as given; null or an empty text is the same as none. Blanks around it are left
    /// out. One that is not good is refused (422).
    #[schema(value_type = Option<String>, pattern = "^[ -~]{0,64}$")]
    coupon_code: Option<Value<'a, Ignored>>,
    #[schema(ignore)]
    repeated: Vec<&'static str>,
}

#[derive(Default)]
struct RawItem<'a> {
    product_id: Option<Value<'a, Ignored>>,
    quantity: Option<Value<'a, Ignored>>,
    repeated: Vec<&'static str>,
}

/// Members that nobody asks for.
#[derive(Default)]
struct Ignored;

/// An object whose members are read one by one.
trait Members<'de>: Default {
    /// Reads the value of `name`.
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

impl<'de> Members<'de> for Ignored {
    fn read<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }
}

impl<'de: 'a, 'a> Members<'de> for RawOrder<'a> {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "items" => once(&mut self.items, "/items", &mut self.repeated, map),
            "couponCode" => once(&mut self.coupon_code, "/couponCode", &mut self.repeated, map),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

impl<'de: 'a, 'a> Members<'de> for RawItem<'a> {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "productId" => once(&mut self.product_id, "/productId", &mut self.repeated, map),
            "quantity" => once(&mut self.quantity, "/quantity", &mut self.repeated, map),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

fn once<'de: 'a, 'a, A: MapAccess<'de>>(
    member: &mut Option<Value<'a, Ignored>>,
    pointer: &'static str,
    repeated: &mut Vec<&'static str>,
    map: &mut A,
) -> Result<(), A::Error> {
    if member.replace(map.next_value()?).is_some() && !repeated.contains(&pointer) {
        repeated.push(pointer);
    }
    Ok(())
}

impl<'de: 'a, 'a, O: Members<'de>> Deserialize<'de> for Value<'a, O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor<O>(std::marker::PhantomData<O>);

        impl<'de, O: Members<'de>> Visitor<'de> for ValueVisitor<O> {
            type Value = Value<'de, O>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Value::Bool)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Value::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(number).map_or(Value::Number, Value::Integer))
            }

            // JSON knows one kind of number: 2.0 and 2e0 are the integer 2 (JSON Schema, "integer").
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                const EXACT: f64 = 9_007_199_254_740_992.0;
                if number.fract() == 0.0 && number.abs() <= EXACT {
                    #[expect(clippy::cast_possible_truncation, reason = "an integer within 53 bits")]
                    return Ok(Value::Integer(number as i64));
                }
                Ok(Value::Number)
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let (mut items, mut len) = (Vec::new(), 0);
                while items.len() < OrderItem::MAX_LINES {
                    match elements.next_element()? {
                        Some(item) => items.push(item),
                        None => {
                            return Ok(Value::List(RawList { len: items.len(), items }));
                        }
                    }
                }
                while elements.next_element::<IgnoredAny>()?.is_some() {
                    len += 1;
                }
                Ok(Value::List(RawList { len: len + items.len(), items }))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = O::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    object.read(&name, &mut map)?;
                }
                Ok(Value::Object(object))
            }
        }

        deserializer.deserialize_any(ValueVisitor(std::marker::PhantomData))
    }
}

/// The lines, and the code if there is one.
type Checked = (Vec<OrderItem>, Option<CouponCode>);

impl<'a> Value<'a, RawOrder<'a>> {
    fn check(self, faults: &mut Faults) -> Option<Checked> {
        let Self::Object(order) = self else {
            faults.add("", "must be an object");
            return None;
        };
        for pointer in order.repeated {
            faults.add(pointer, "stands twice");
        }
        let items = match order.items {
            None => missing("/items", faults),
            Some(Value::List(list)) => list.check(faults),
            Some(_) => {
                faults.add("/items", "must be a list");
                None
            }
        };
        let coupon_code = match order.coupon_code {
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
        Some((items?, coupon_code))
    }
}

impl RawList<'_> {
    fn check(self, faults: &mut Faults) -> Option<Vec<OrderItem>> {
        match self.len {
            0 => faults.add("/items", "must have at least one element"),
            1..=OrderItem::MAX_LINES => {}
            len => faults.add("/items", format!("has {len} elements; {} are allowed", OrderItem::MAX_LINES)),
        }
        let items: Vec<_> =
            self.items.into_iter().enumerate().map(|(at, item)| item.check(at, faults)).collect();
        items.into_iter().collect()
    }
}

impl<'a> Value<'a, RawItem<'a>> {
    fn check(self, at: usize, faults: &mut Faults) -> Option<OrderItem> {
        let Self::Object(item) = self else {
            faults.add(format!("/items/{at}"), "must be an object");
            return None;
        };
        for name in item.repeated {
            faults.add(format!("/items/{at}{name}"), "stands twice");
        }
        let pointer = |name: &str| format!("/items/{at}/{name}");
        let product_id = match item.product_id {
            None => missing(pointer("productId"), faults),
            Some(Value::Text(id)) => {
                id.parse::<ProductId>().map_err(|error| faults.add(pointer("productId"), error)).ok()
            }
            Some(_) => {
                faults.add(pointer("productId"), "must be a string");
                None
            }
        };
        let quantity = match item.quantity {
            None => missing(pointer("quantity"), faults),
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
}

fn missing<T>(pointer: impl Into<String>, faults: &mut Faults) -> Option<T> {
    faults.add(pointer, "is missing");
    None
}

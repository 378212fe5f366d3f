//! From the bytes of a JSON body to values, naming everything that is wrong on the way.
//!
//! A body is read once, into values that may still be of any type. What they must be is checked after that, so that every
//! fault can be reported with its place (a JSON pointer, RFC 6901). Unknown members are ignored. Members that stand twice
//! are refused: two readers of such a body may see two different requests.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{ApiError, FieldError};
use super::reason::Reason;

/// Reads a body into an object with the members `O`, and checks it.
pub fn decode<'a, O: Members<'a>, T>(
    body: &'a [u8],
    check: impl FnOnce(O, &mut Faults) -> Option<T>,
) -> Result<T, ApiError> {
    let invalid = |what: String| ApiError::new(Reason::InvalidJson, format!("the body is not JSON: {what}"));
    // A byte order mark may be ignored (RFC 8259, section 8.1).
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| invalid(error.to_string()))?;
    let root: Value<'_, O> = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let mut faults = Faults(Vec::new());
    let value = if let Value::Object(object) = root {
        check(object, &mut faults)
    } else {
        faults.add("", "must be an object");
        None
    };
    match value {
        Some(value) if faults.0.is_empty() => Ok(value),
        _ => Err(ApiError::validation(faults.0)),
    }
}

/// What was found wrong so far.
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// A body of nothing but faults does not make a response without end.
    const MAX: usize = 20;

    /// Adds a fault at a place.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl fmt::Display) {
        if self.0.len() < Self::MAX {
            self.0.push(FieldError { pointer: pointer.into(), message: message.to_string() });
        }
    }

    /// Adds that a member is missing.
    pub fn missing<T>(&mut self, pointer: impl Into<String>) -> Option<T> {
        self.add(pointer, "is missing");
        None
    }
}

/// A JSON value of whatever type. The members of an object are read into `O`, those of a list's objects into `E`.
pub enum Value<'a, O = Ignored, E = Ignored> {
    Null,
    Bool,
    Integer(i64),
    /// A number that is no 64-bit integer.
    Number,
    Text(Cow<'a, str>),
    List(List<'a, E>),
    Object(O),
}

/// The first elements of a list, as many as there may be, and how many there were.
pub struct List<'a, E> {
    pub elements: Vec<Value<'a, E>>,
    pub len: usize,
}

/// An object whose members are read one by one.
pub trait Members<'a>: Default {
    /// How many of these objects a list may have. More are counted only. One is always read: so a list within a list
    /// within a list is refused when it is too deep for any reader, whatever is known of its elements.
    const MOST_IN_LIST: usize = 1;

    /// Reads the value of `name`.
    fn read<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// An object whose members are not needed.
#[derive(Default)]
pub struct Ignored;

impl<'a> Members<'a> for Ignored {
    fn read<A: MapAccess<'a>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        ignore(map)
    }
}

/// Skips the value of an unknown member.
pub fn ignore<'a, A: MapAccess<'a>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Reads the value of a member. A member that stands twice is added to `repeated`.
pub fn once<'a, O: Members<'a>, E: Members<'a>, A: MapAccess<'a>>(
    member: &mut Option<Value<'a, O, E>>,
    pointer: &'static str,
    repeated: &mut Vec<&'static str>,
    map: &mut A,
) -> Result<(), A::Error> {
    if member.replace(map.next_value()?).is_some() && !repeated.contains(&pointer) {
        repeated.push(pointer);
    }
    Ok(())
}

impl<'a, O: Members<'a>, E: Members<'a>> Deserialize<'a> for Value<'a, O, E> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor(PhantomData))
    }
}

struct ValueVisitor<O, E>(PhantomData<(O, E)>);

impl<'a, O: Members<'a>, E: Members<'a>> Visitor<'a> for ValueVisitor<O, E> {
    type Value = Value<'a, O, E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<F>(self) -> Result<Self::Value, F> {
        Ok(Value::Null)
    }

    fn visit_bool<F>(self, _: bool) -> Result<Self::Value, F> {
        Ok(Value::Bool)
    }

    fn visit_i64<F>(self, number: i64) -> Result<Self::Value, F> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<F>(self, number: u64) -> Result<Self::Value, F> {
        Ok(i64::try_from(number).map_or(Value::Number, Value::Integer))
    }

    // JSON knows one kind of number: 2.0 and 2e0 are the integer 2 (JSON Schema, "integer").
    fn visit_f64<F>(self, number: f64) -> Result<Self::Value, F> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "an integer within 53 bits")]
            return Ok(Value::Integer(number as i64));
        }
        Ok(Value::Number)
    }

    fn visit_borrowed_str<F>(self, text: &'a str) -> Result<Self::Value, F> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<F>(self, text: &str) -> Result<Self::Value, F> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < E::MOST_IN_LIST {
            match sequence.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok(Value::List(List { len: elements.len(), elements })),
            }
        }
        let mut len = elements.len();
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            len += 1;
        }
        Ok(Value::List(List { elements, len }))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = O::default();
        while let Some(name) = map.next_key::<Cow<'a, str>>()? {
            object.read(&name, &mut map)?;
        }
        Ok(Value::Object(object))
    }
}

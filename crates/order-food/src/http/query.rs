//! The query of a request.

use actix_web::HttpRequest;

use super::error::{ApiError, FieldError};

/// The values of these parameters. Others are ignored; one that stands twice is refused, because two readers of such a
/// query may see two different ones.
pub fn parameters<const N: usize>(
    request: &HttpRequest,
    names: [&'static str; N],
) -> Result<[Option<String>; N], ApiError> {
    let mut values = [const { None }; N];
    if request.query_string().is_empty() {
        return Ok(values);
    }
    let mut errors = Vec::new();
    for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        let Some(at) = names.iter().position(|known| *known == name) else { continue };
        if values[at].replace(value.into_owned()).is_some() {
            errors.push(FieldError { pointer: format!("?{name}"), message: "stands twice".to_owned() });
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(ApiError::validation(errors)) }
}

//! The API's description for programs, and as a page that needs nothing but this server.

use std::sync::LazyLock;

use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use crate::http::cached::{JSON, PackedFile, respond};
use crate::http::error::ApiError;
use crate::service::Representation;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// The media type of RFC 9512.
const YAML: &str = "application/yaml";
/// Swagger UI styles its elements in place and draws its icons from `data:`; all else is this server's.
const PAGE_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

/// The documents are made when they are first asked for: a start does not wait for them.
pub type LazyDocuments = LazyLock<Documents>;

/// Everything that is sent as it is.
#[derive(Debug)]
pub struct Documents {
    json: Representation,
    yaml: Representation,
    page: Representation,
    start: Representation,
    bundle: PackedFile,
    style: PackedFile,
}

impl Documents {
    /// The documents of an API with this description, as JSON.
    pub fn new(json: String) -> Self {
        let file = |text: &'static str| Representation::plain(Bytes::from_static(text.as_bytes()));
        Self {
            json: Representation::compressed(json.into()),
            yaml: Representation::compressed(Bytes::from_static(include_bytes!(
                "../../../../../docs/openapi.yaml"
            ))),
            page: file(include_str!("../../../assets/docs/index.html")),
            start: file(include_str!("../../../assets/docs/start.js")),
            bundle: PackedFile::new(
                include_bytes!("../../../assets/swagger-ui/swagger-ui-bundle.js.gz"),
                SCRIPT,
            ),
            style: PackedFile::new(include_bytes!("../../../assets/swagger-ui/swagger-ui.css.gz"), STYLE),
        }
    }
}

/// Read this description as JSON.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenapiJson", tag = "about",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
pub async fn openapi_json(request: HttpRequest, documents: Data<LazyDocuments>) -> HttpResponse {
    respond(&request, &documents.json, JSON)
}

/// Read this description as YAML.
#[utoipa::path(
    get, path = "/openapi.yaml", operation_id = "getOpenapiYaml", tag = "about",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/yaml")),
)]
pub async fn openapi_yaml(request: HttpRequest, documents: Data<LazyDocuments>) -> HttpResponse {
    respond(&request, &documents.yaml, YAML)
}

/// Read this description as a page, and try it.
#[utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = "about",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html")),
)]
pub async fn page(request: HttpRequest, documents: Data<LazyDocuments>) -> HttpResponse {
    for_browsers(respond(&request, &documents.page, HTML))
}

/// What the page loads.
pub async fn file(
    request: HttpRequest,
    name: Path<String>,
    documents: Data<LazyDocuments>,
) -> Result<HttpResponse, ApiError> {
    let response = match name.as_str() {
        "start.js" => respond(&request, &documents.start, SCRIPT),
        "swagger-ui-bundle.js" => documents.bundle.respond(&request),
        "swagger-ui.css" => documents.style.respond(&request),
        _ => return Err(ApiError::not_found("path")),
    };
    Ok(for_browsers(response))
}

/// Says what a page may load, and that its files are what they say they are.
pub fn for_browsers(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

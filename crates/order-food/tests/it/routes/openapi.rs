//! The description: complete, true, and the same everywhere.

use std::collections::BTreeSet;

use order_food::router::{ENDPOINTS, methods_of};
use reqwest::Method;
use serde_json::{Value, json};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{KEY, TestServer};

on_both_engines!(examples_are_true, documents_are_served);

fn document() -> Value {
    serde_json::to_value(order_food::openapi::document()).unwrap()
}

#[test]
fn the_committed_description_is_that_of_the_code() {
    let committed: Value = yaml_serde::from_str(include_str!("../../../../../docs/openapi.yaml")).unwrap();
    assert_eq!(
        committed,
        document(),
        "write it anew: cargo run --package order-food --example openapi > docs/openapi.yaml"
    );
}

#[test]
fn every_route_is_described_and_no_other() {
    let document = document();
    let described: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(path, item)| {
            let methods: BTreeSet<_> =
                item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
            (path.clone(), methods)
        })
        .collect();
    // HEAD and OPTIONS are everywhere.
    let methods = |path: &str| {
        let allow = methods_of(path);
        allow.split(", ").filter(|method| !["HEAD", "OPTIONS"].contains(method)).map(str::to_owned).collect()
    };
    let routes: BTreeSet<_> = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.path != "/docs/{file}")
        .map(|endpoint| (endpoint.path.to_owned(), methods(endpoint.path)))
        .collect();
    assert_eq!(described, routes);
}

#[test]
fn every_reason_is_some_operations() {
    let document = document();
    let all: BTreeSet<_> = texts(&document["components"]["schemas"]["Reason"]["enum"]);
    let mut told = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for response in operation["responses"].as_object().unwrap().values() {
                told.extend(texts(&response["x-reasons"]));
            }
        }
    }
    // What no operation answers: the path itself has no such method.
    told.insert("method_not_allowed".to_owned());
    assert_eq!(told, all);
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn examples_are_true(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let schemas = document()["components"]["schemas"].clone();
    let example = |schema: &str| schemas[schema]["examples"][0].clone();

    let order = example("Order");
    let path = format!("/api/order/{}", order["id"].as_str().unwrap());
    assert_eq!(server.get_with_key(&path, KEY).await.json(), order);
    let quote = server.request(Method::POST, "/api/order/quote").json(&example("OrderRequest"));
    assert_eq!(server.send(quote).await.json(), example("Quote"));
    assert_eq!(server.get("/api/product/1").await.json(), example("Product"));
    assert_eq!(example("OrderRequest")["items"][0], example("OrderItem"));
    assert_eq!(server.get("/livez").await.json(), example("Alive"));
    assert_eq!(server.get("/readyz").await.json(), example("Readiness"));
    assert_eq!(server.get("/").await.json(), example("Welcome"));
    let mut health = server.get("/health").await.json();
    health["database"]["engine"] = "sqlite".into();
    // The tests' server may be faster than it is safe.
    health["database"]["warnings"] = json!([]);
    assert_eq!(health, example("Health"));

    let unknown = json!({"items": [{"productId": "999", "quantity": 1}]});
    let mut refused =
        server.send(server.request(Method::POST, "/api/order/quote").json(&unknown)).await.json();
    refused["traceId"] = example("Error")["traceId"].clone();
    assert_eq!(refused, example("Error"));
}

async fn documents_are_served(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let json = server.get("/openapi.json").await;
    assert_eq!((json.status.as_u16(), json.header("content-type")), (200, "application/json"));
    assert_eq!(json.json(), document());
    let yaml = server.get("/openapi.yaml").await;
    assert_eq!((yaml.status.as_u16(), yaml.header("content-type")), (200, "application/yaml"));
    assert_eq!(yaml_serde::from_str::<Value>(&yaml.text).unwrap(), document());
    for path in [
        "/openapi.json",
        "/openapi.yaml",
        "/docs",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
    ] {
        let tag = server.get(path).await.header("etag").to_owned();
        let again = server.send(server.request(Method::GET, path).header("if-none-match", &tag)).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{path}");
    }

    let page = server.get("/docs").await;
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"), "{page:?}");
    assert!(!page.text.contains("//"), "a page that works offline names no other host");
    for file in ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/start.js"] {
        assert!(page.text.contains(file), "{file}");
    }
    // Who takes no gzip gets the same file.
    let bundle = server.get("/docs/swagger-ui-bundle.js").await;
    assert_eq!(
        (bundle.header("content-encoding"), bundle.header("content-type")),
        ("", "text/javascript; charset=utf-8")
    );
    assert!(bundle.text.contains("SwaggerUIBundle"));
    let packed =
        server.request(Method::HEAD, "/docs/swagger-ui-bundle.js").header("accept-encoding", "gzip, br");
    let packed = server.send(packed).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.header("content-length").parse::<usize>().unwrap() * 3 < bundle.text.len());
    server.get("/docs/nothing").await.assert_error(404, "not_found");
    server.get("/docs/..%2FCargo.toml").await.assert_error(404, "not_found");
}

//! A server of its own for each test, on a database of its own, and a client.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use database::Session;
use database_load::{Load, Options, Source};
use domain::{Pepper, SystemClock};
use order_food::app::BoundServer;
use order_food::config::{Arguments, Config};
use order_food::state::AppState;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use telemetry::{LogCounts, StopSignals, Tracing};
use test_database::{TestDatabase, TestEngine, execute};

use crate::described;

/// The key of the demo data: `create_order read_orders`.
pub const KEY: &str = "apitest";
/// Another client's key with the same scopes.
pub const OTHER_KEY: &str = "other-key";
/// A key that may only read.
pub const READER_KEY: &str = "reader-key";
/// A key that may do everything.
pub const ADMIN_KEY: &str = "admin-key";

/// A server with the sample data and the keys above.
pub struct TestServer {
    pub database: TestDatabase,
    pub address: SocketAddr,
    client: reqwest::Client,
    pub state: actix_web::web::Data<AppState>,
    _serving: AbortOnDrop,
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer is an error with this status and reason, in the one shape that errors have.
    #[track_caller]
    pub fn assert_error(&self, status: u16, reason: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        let members: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["code", "errors", "message", "reason", "traceId", "type"]);
        assert_eq!((&body["code"], &body["type"]), (&status.into(), &"error".into()));
        assert_eq!(body["reason"], reason, "{}", self.text);
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(body["traceId"].as_str().unwrap().len(), 32);
        body
    }

    /// Where and what the error's details are.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

impl TestServer {
    pub async fn start(engine: TestEngine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// Started with more arguments.
    pub async fn start_with(engine: TestEngine, arguments: &[&str]) -> Self {
        let database = TestDatabase::migrated(engine).await;
        load_sample_data(&database).await;
        let server = Self::start_on(database, arguments).await;
        // On a busy machine the first look at the data may take longer than a start waits for it.
        eventually("there is data", async || server.state.catalogue.readiness.missing().is_empty()).await;
        eventually("orders can be written", async || server.state.observability.writer.connected() > 0).await;
        server
    }

    /// Started on a database as it is.
    pub async fn start_on(database: TestDatabase, arguments: &[&str]) -> Self {
        let fixed = ["order-food", "--server-port", "0", "--database-url", database.url_text()];
        let arguments =
            Arguments::try_parse_from(fixed.iter().chain(arguments)).expect("the arguments are right");
        let config = Config::try_from(&arguments).expect("the settings are right");
        let bound = BoundServer::start(config, Tracing::off(true), LogCounts::default()).await;
        let bound = bound.expect("the server starts");
        let address = bound.address();
        let state = bound.state();
        let mut signals = StopSignals::listen().unwrap();
        let serving = tokio::spawn(async move {
            bound.run(&mut signals).await;
        });
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { database, address, client, state, _serving: AbortOnDrop(serving) }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer { status, headers, text: response.text().await.unwrap() };
        described::check(&method, &path, &answer);
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn get_with_key(&self, path: &str, key: &str) -> Answer {
        self.send(self.request(Method::GET, path).header("api_key", key)).await
    }

    /// Posts a text as an order.
    pub async fn order_text(&self, key: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, "/api/order").header("api_key", key);
        self.send(request.header("content-type", "application/json").body(body)).await
    }

    /// Places an order of these products and quantities, which must succeed.
    pub async fn order(&self, key: &str, items: &[(&str, u32)]) -> Value {
        let answer = self.order_text(key, cart(items)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

/// Waits until something that another process or task brings about is so.
pub async fn eventually(what: &str, is_so: impl AsyncFnMut() -> bool) {
    eventually_within(Duration::from_secs(3), what, is_so).await;
}

/// The same, where it may take longer.
pub async fn eventually_within(limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}: never");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The ids of all stored orders, as clients see them.
pub async fn order_ids(database: &TestDatabase) -> HashSet<String> {
    let ids = match database.url().engine() {
        "sqlite" => {
            "select lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || \
             substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) from orders"
        }
        _ => "select id::text from orders",
    };
    database.texts(ids).await.into_iter().collect()
}

/// A session in which nobody else stores an order until it ends its transaction.
pub async fn hold_orders(database: &TestDatabase) -> Session {
    let mut session = database.session().await;
    let hold = match database.url().engine() {
        "sqlite" => "begin immediate",
        _ => "begin; lock table orders in share row exclusive mode",
    };
    execute(session.connection.as_mut(), hold).await;
    session
}

/// The JSON of a cart.
pub fn cart(items: &[(&str, u32)]) -> String {
    let items: Vec<_> = items
        .iter()
        .map(|(id, quantity)| serde_json::json!({"productId": id, "quantity": quantity}))
        .collect();
    serde_json::json!({ "items": items }).to_string()
}

/// The body of an order of these products and quantities with a coupon code.
pub fn cart_with_code(items: &[(&str, u32)], code: &str) -> String {
    let mut cart: Value = serde_json::from_str(&cart(items)).unwrap();
    cart["couponCode"] = code.into();
    cart.to_string()
}

/// The compiled-in data, and clients with the keys above.
pub async fn load_sample_data(database: &TestDatabase) {
    load(database, &Source::CompiledIn { with_demo_data: true }).await;
    let pepper = Pepper::new(b"");
    for (client, key, scopes) in [
        ("other", OTHER_KEY, "create_order read_orders"),
        ("reader", READER_KEY, "read_orders"),
        ("admin", ADMIN_KEY, "admin"),
    ] {
        insert_key(database, client, &pepper, key, scopes, "null").await;
    }
}

/// Loads from a source with an empty pepper.
pub async fn load(database: &TestDatabase, source: &Source) {
    let mut session = database.session().await;
    let (url, pepper, options) = (database.url(), Pepper::new(b""), Options::default());
    let load = Load { url: &url, source, pepper: &pepper, clock: &SystemClock, options: &options };
    load.run(&mut session.connection).await.expect("the data is right");
    session.close().await;
}

/// A client with a key, as the command line would make them.
pub async fn insert_key(
    database: &TestDatabase,
    client: &str,
    pepper: &Pepper,
    key: &str,
    scopes: &str,
    expires_at: &str,
) {
    let literal = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let (hash, fingerprint) = (literal(pepper.hash(key).as_bytes()), literal(&pepper.fingerprint()));
    let blob = |hex: &str| match database.url().engine() {
        "sqlite" => format!("x'{hex}'"),
        _ => format!("'\\x{hex}'"),
    };
    database
        .execute(&format!(
            "insert into api_clients (name, source, created_at, updated_at) values ('{client}', 'command', 0, 0) \
             on conflict (name) do nothing; \
             insert into api_keys (client_id, key_hash, pepper_fingerprint, scopes, source, expires_at, created_at, updated_at) \
             select id, {}, {}, '{scopes}', 'command', {expires_at}, 0, 0 from api_clients where name = '{client}'; \
             update change_counters set api_keys = api_keys + 1",
            blob(&hash),
            blob(&fingerprint)
        ))
        .await;
}

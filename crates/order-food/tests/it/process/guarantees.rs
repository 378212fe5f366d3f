//! What must hold across processes and crashes: one order for one key, a limit kept to the one, no key in any log.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use test_database::{Program, TestDatabase, TestEngine, on_both_engines};

use super::Api;
use crate::harness::{ADMIN_KEY, KEY, OTHER_KEY, cart, eventually, load_sample_data};

on_both_engines!(
    sixty_four_at_once_with_one_key_are_one_order,
    ten_uses_are_ten_however_many_race,
    an_order_whose_answer_was_lost_is_answered_again,
    keys_from_the_command_line,
    no_secret_is_in_any_log,
);

async fn shop(engine: TestEngine) -> TestDatabase {
    let database = TestDatabase::migrated(engine).await;
    load_sample_data(&database).await;
    database
}

/// Two processes on PostgreSQL, one on SQLite.
fn start(database: &TestDatabase, engine: TestEngine, settings: &[(&str, &str)]) -> Vec<Api> {
    let processes = if engine == TestEngine::Postgres { 2 } else { 1 };
    (0..processes).map(|_| Api::start(database.url_text(), settings)).collect()
}

fn post(api: &Api, key: &str, body: &str) -> RequestBuilder {
    let request = api.client.post(api.url("/api/order")).header("api_key", key);
    request.header("content-type", "application/json").body(body.to_owned())
}

async fn sixty_four_at_once_with_one_key_are_one_order(engine: TestEngine) {
    const ROUNDS: i64 = 100;
    let database = shop(engine).await;
    let apis = start(&database, engine, &[]);
    let before = database.number("select count(*) from orders").await;
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        let requests = (0..64).map(|client| {
            let request =
                post(&apis[client % apis.len()], KEY, &cart(&[("1", 2)])).header("idempotency-key", &key);
            async {
                let answer = request.send().await.expect("an answer");
                let is_replay = answer.headers().contains_key("idempotent-replayed");
                (answer.status(), is_replay, answer.text().await.unwrap())
            }
        });
        let answers = futures_util::future::join_all(requests).await;
        for (status, _, text) in &answers {
            assert_eq!((*status, text), (StatusCode::OK, &answers[0].2), "round {round}");
        }
        assert_eq!(answers.iter().filter(|(_, is_replay, _)| !is_replay).count(), 1, "round {round}");
    }
    assert_eq!(database.number("select count(*) from orders").await, before + ROUNDS);
}

async fn ten_uses_are_ten_however_many_race(engine: TestEngine) {
    let database = shop(engine).await;
    let active = if engine == TestEngine::Sqlite { "1" } else { "true" };
    let promotion = |code: &str, total: &str, own: &str| {
        format!(
            "insert into promotions (code, kind, value, min_items, min_subtotal_cents, max_uses, max_uses_per_client, active, \
             source, created_at, updated_at) values ('{code}', 'fixed', 100, 0, 0, {total}, {own}, {active}, 'api', 0, 0); "
        )
    };
    database.execute(&promotion("TENINALL", "10", "null")).await;
    database.execute(&promotion("FIVEEACH", "null", "5")).await;
    let apis = start(&database, engine, &[]);
    for api in &apis {
        api.is_ready().await;
    }
    for (code, clients, expected) in
        [("TENINALL", &[KEY, OTHER_KEY][..], 10), ("FIVEEACH", &[KEY, OTHER_KEY, ADMIN_KEY][..], 15)]
    {
        let body = json!({"items": [{"productId": "1", "quantity": 1}], "couponCode": code}).to_string();
        let requests = (0..500).map(|number| {
            let request = post(&apis[number % apis.len()], clients[number % clients.len()], &body);
            // Half of them with a key of their own.
            let request = if number % 2 == 0 {
                request.header("idempotency-key", format!("{code}-{number}"))
            } else {
                request
            };
            async { request.send().await.expect("an answer").status().as_u16() }
        });
        let mut statuses: HashMap<u16, usize> = HashMap::new();
        for status in futures_util::future::join_all(requests).await {
            *statuses.entry(status).or_default() += 1;
        }
        assert_eq!(statuses, HashMap::from([(200, expected), (422, 500 - expected)]), "{code}");
        let redeemed = format!("select count(*) from promotion_redemptions where promotion_code = '{code}'");
        assert_eq!(database.number(&redeemed).await, i64::try_from(expected).unwrap());
        let orders = format!("select count(*) from order_summaries where coupon_code = '{code}'");
        assert_eq!(database.number(&orders).await, i64::try_from(expected).unwrap());
    }
    assert_eq!(
        database.number("select used from limit_counters where name = 'promotion:TENINALL'").await,
        10
    );
    let unstored = "select count(*) from idempotency_keys k where not exists (select 1 from orders o where o.id = k.order_id)";
    assert_eq!(database.number(unstored).await, 0, "a refused order left its key behind");
}

async fn an_order_whose_answer_was_lost_is_answered_again(engine: TestEngine) {
    let database = shop(engine).await;
    let before = database.number("select count(*) from orders").await;
    let mut dying = Api::start(database.url_text(), &[("ENABLE_FAULT_INJECTION", "true")]);
    let body = json!({"items": [{"productId": "1", "quantity": 2}], "couponCode": "SAVE10"}).to_string();
    let lost = post(&dying, KEY, &body)
        .header("idempotency-key", "lost")
        .header("x-fault", "after-commit")
        .send()
        .await;
    assert!(lost.is_err(), "the process died before it answered");
    assert!(!dying.process.wait(Duration::from_secs(5)).success());
    assert_eq!(database.number("select count(*) from orders").await, before + 1);

    let api = Api::start(database.url_text(), &[]);
    let again = post(&api, KEY, &body).header("idempotency-key", "lost").send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let text = again.text().await.unwrap();
    let order: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(order["total"], 23.38);
    assert_eq!(database.number("select count(*) from orders").await, before + 1);
    // Without the header the hook is not there; and off means off.
    let off = post(&api, KEY, &body).header("idempotency-key", "off").header("x-fault", "after-commit");
    assert_eq!(off.send().await.unwrap().status(), 200);
    // After a later status and another restart: the same bytes.
    database.execute("update orders set status = 'delivered', version = 3").await;
    drop(api);
    let api = Api::start(database.url_text(), &[]);
    let later = post(&api, KEY, &body).header("idempotency-key", "lost").send().await.unwrap();
    assert_eq!(later.text().await.unwrap(), text);
    assert!(api.text(&format!("/api/order/{}", order["id"].as_str().unwrap())).await.contains("delivered"));
}

fn keys(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String) {
    let program =
        Program::new("order-food").env("DATABASE_URL", database.url_text()).env("API_KEY_PEPPER", "pepper");
    let output = program.args(["keys"]).args(arguments.iter().copied()).output();
    let said =
        String::from_utf8(if output.status.success() { output.stdout } else { output.stderr }).unwrap();
    (output.status.code(), said)
}

/// Creates or rotates a key: its number and the key.
fn created(said: &str) -> (String, String) {
    let mut lines = said.lines().skip_while(|line| !line.starts_with("created "));
    let id = lines.next().unwrap().trim_start_matches("created ").to_owned();
    (id, lines.next().unwrap().to_owned())
}

async fn keys_from_the_command_line(engine: TestEngine) {
    let database = TestDatabase::migrated(engine).await;
    let load = Program::new("database-load")
        .env("DATABASE_URL", database.url_text())
        .env("API_KEY_PEPPER", "pepper");
    assert!(load.output().status.success());
    let apis = start(&database, engine, &[("API_KEY_PEPPER", "pepper")]);
    let status = async |api: &Api, key: &str| {
        post(api, key, &cart(&[("1", 1)])).send().await.unwrap().status().as_u16()
    };
    let becomes = async |key: &str, expected: u16| {
        for api in &apis {
            let told = std::time::Instant::now();
            while status(api, key).await != expected {
                assert!(
                    told.elapsed() < Duration::from_secs(1),
                    "a change of keys took longer than a second"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    let (id, key) = created(&keys(&database, &["create", "--client", "till 4"]).1);
    becomes(&key, 200).await;
    let (list_code, list) = keys(&database, &["list"]);
    assert_eq!(list_code, Some(0));
    assert!(list.contains("till 4") && list.contains("create_order read_orders"), "{list}");
    assert!(!list.contains(&key), "a key is shown once");

    // A rotated key keeps its client, so its orders and its idempotency keys.
    let keyed = async |key: &str| {
        post(&apis[0], key, &cart(&[("2", 1)])).header("idempotency-key", "kept").send().await.unwrap()
    };
    let before = keyed(&key).await.text().await.unwrap();
    let (_, new_key) = created(&keys(&database, &["rotate", &id]).1);
    becomes(&new_key, 200).await;
    becomes(&key, 403).await;
    let replayed = keyed(&new_key).await;
    assert_eq!(replayed.headers()["idempotent-replayed"], "true");
    assert_eq!(replayed.text().await.unwrap(), before);
    let own = apis[0].client.get(apis[0].url("/api/order")).header("api_key", &new_key).send().await.unwrap();
    assert!(own.json::<Vec<Value>>().await.unwrap().len() >= 3);

    // The loader leaves all of this alone.
    let load = Program::new("database-load")
        .env("DATABASE_URL", database.url_text())
        .env("API_KEY_PEPPER", "pepper");
    assert!(load.args(["--force"]).output().status.success());
    assert_eq!(status(&apis[0], &new_key).await, 200);
    let list = || keys(&database, &["list", "--json"]).1;
    let (new_id, row) = list_row(&list(), "till 4");
    assert_eq!(row["state"], "usable");
    database.execute("update api_keys set expires_at = 1 where id = 1").await;
    assert_eq!(list_row(&list(), "demo").1["state"], "expired");
    let other =
        Program::new("order-food").env("DATABASE_URL", database.url_text()).env("API_KEY_PEPPER", "other");
    let other = other.args(["keys", "list", "--json"]).output();
    assert_eq!(list_row(&String::from_utf8(other.stdout).unwrap(), "till 4").1["state"], "other pepper");
    assert_eq!(keys(&database, &["revoke", &new_id]).0, Some(0));
    becomes(&new_key, 403).await;
    assert_eq!(list_row(&list(), "till 4").1["state"], "revoked");
    let (code, said) = keys(&database, &["revoke", &new_id]);
    assert_eq!((code, said.contains("no usable key")), (Some(1), true), "{said}");
    let (code, said) = keys(&database, &["create", "--client", "x", "--scopes", "everything"]);
    assert_eq!((code, said.contains("unknown scope")), (Some(2), true), "{said}");
}

/// The number and state of the client's newest key.
fn list_row(list: &str, client: &str) -> (String, Value) {
    let rows: Vec<Value> = serde_json::from_str(list).unwrap();
    let row = rows.into_iter().rfind(|row| row["client"] == client).unwrap();
    (row["id"].to_string(), row)
}

/// Everything that carries a secret, and then every line that was logged.
async fn no_secret_is_in_any_log(engine: TestEngine) {
    let database = shop(engine).await;
    let settings = [
        ("API_KEY_PEPPER_FILE", ""),
        ("RUST_LOG", "trace"),
        ("ENABLE_FAULT_INJECTION", "true"),
        ("RATE_LIMIT_PER_SECOND", "1000"),
    ];
    let mut api = Api::start(database.url_text(), &settings);
    let body =
        |code: &str| json!({"items": [{"productId": "1", "quantity": 1}], "couponCode": code}).to_string();
    for (key, code) in [
        (KEY, "SAVE10"),
        (KEY, "HAPPYHRS"),
        (KEY, "NOSUCHCODE"),
        ("wrong-secret", "SAVE10"),
        (ADMIN_KEY, "SUPER100"),
    ] {
        post(&api, key, &body(code)).header("idempotency-key", "secret-name").send().await.unwrap();
        let query = format!("/api/product?api_key={key}");
        api.client
            .get(api.url(&query))
            .header("x-api-key", key)
            .header("authorization", "Bearer token-secret")
            .send()
            .await
            .unwrap();
    }
    api.client.get(api.url("/panic")).header("api_key", ADMIN_KEY).send().await.unwrap();
    api.client.get(api.url("/panic")).header("api_key", KEY).send().await.unwrap();
    api.process.signal("TERM");
    assert!(api.process.wait(Duration::from_secs(10)).success());
    assert!(api.process.log.iter().any(|line| line.contains("\"access\"")), "{:?}", api.process.log);
    for line in &api.process.log {
        for secret in [
            KEY,
            ADMIN_KEY,
            "wrong-secret",
            "token-secret",
            "secret-name",
            "SAVE10",
            "HAPPYHRS",
            "NOSUCHCODE",
            "SUPER100",
        ] {
            assert!(!line.contains(secret), "{secret} is in the log: {line}");
        }
    }
}

/// nginx as it comes drops `api_key`, so `X-API-Key` it is.
#[tokio::test]
async fn an_order_through_stock_nginx() {
    let database = shop(TestEngine::Sqlite).await;
    let api = Api::start(database.url_text(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = folder.path().display();
    let config = format!(
        "daemon off; master_process off; pid {path}/pid; error_log {path}/error; events {{}} http {{ access_log off; \
         client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; \
         scgi_temp_path {path}/s; server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{}; }} }} }}",
        api.address
    );
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find(|path| std::path::Path::new(path).is_file());
    let nginx = nginx.expect("nginx is missing: ./scripts/test.sh installs it");
    let mut process = Command::new(nginx)
        .args(["-c", &format!("{path}/nginx.conf"), "-e", &format!("{path}/error")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx starts");
    let url = format!("http://127.0.0.1:{port}/api/order");
    let send = |header: &'static str| {
        api.client
            .post(&url)
            .header(header, KEY)
            .header("content-type", "application/json")
            .body(cart(&[("1", 1)]))
            .send()
    };
    eventually("nginx answers", async || send("X-API-Key").await.is_ok()).await;
    let (with_dashes, with_underscore) = (send("X-API-Key").await.unwrap(), send("api_key").await.unwrap());
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(with_dashes.status(), 200);
    assert_eq!(with_underscore.status(), 401, "stock nginx drops names with underscores");
}

//! The start with nothing set: a database in the working directory.

use std::time::Duration;

use serde_json::Value;
use test_database::Program;

use super::Api;

fn start(folder: &std::path::Path) -> Api {
    Api::started(Program::new("order-food").in_folder(folder).env("SERVER_PORT", "0").start())
}

fn stop(mut api: Api) -> (std::process::ExitStatus, String) {
    api.process.signal("TERM");
    let status = api.process.wait(Duration::from_secs(10));
    let stderr = api.process.stderr();
    (status, stderr)
}

#[tokio::test]
async fn one_command_takes_an_order_that_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(folder.path());
    let menu: Value = serde_json::from_str(&api.text("/api/product").await).unwrap();
    assert_eq!(menu.as_array().unwrap().len(), 10);
    let order = api.order().await;
    assert_eq!(order["subtotal"], 35.97);
    let address = api.address;
    let (status, greeting) = stop(api);
    assert_eq!(status.code(), Some(0));
    assert!(greeting.contains(&format!("curl http://{address}/api/product")), "{greeting}");
    assert!(greeting.contains("api_key: apitest"), "{greeting}");

    let api = start(folder.path());
    let found: Value =
        serde_json::from_str(&api.text(&format!("/api/order/{}", order["id"].as_str().unwrap())).await)
            .unwrap();
    assert_eq!(found, order);
}

#[tokio::test]
async fn an_operators_own_data_is_not_overwritten() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    stop(start(folder.path()));
    std::fs::write(data.path().join("products.csv"), "id,name,price,category\n1,Our own,1,Own\n").unwrap();
    let loaded = Program::new("database-load").in_folder(folder.path()).env("DATA_DIR", data.path()).output();
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stdout));
    let api = start(folder.path());
    assert_eq!(
        api.text("/api/product").await,
        r#"[{"id":"1","name":"Our own","price":1.00,"category":"Own"}]"#
    );
}

#[tokio::test]
async fn demo_data_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new("order-food").in_folder(folder.path()).env("SERVER_PORT", "0");
    let api = Api::started(program.env("LOAD_DEMO_DATA", "false").start());
    assert!(api.text("/api/order").await.contains("invalid_api_key"));
    let (_, greeting) = stop(api);
    assert!(greeting.contains("YOUR-KEY") && !greeting.contains("apitest"), "{greeting}");
}

/// A first start that died between two data sets is completed by the next.
#[tokio::test]
async fn an_interrupted_first_load_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    stop(start(folder.path()));
    let database = folder.path().join("order-food.db");
    let url = format!("sqlite://{}", database.display());
    let url: database::DatabaseUrl = url.parse().unwrap();
    let mut session = database::Session::open(&url, "test", Duration::from_secs(5)).await.unwrap();
    test_database::execute(
        session.connection.as_mut(),
        "delete from orders; delete from api_keys; delete from api_clients; \
         delete from data_loads where data_set in ('users', 'orders', 'coupons'); \
         update data_loads set published_at = null where data_set = 'seed'",
    )
    .await;
    session.close().await;
    let api = start(folder.path());
    api.order().await;
    stop(api);
    let api = start(folder.path());
    let orders: Vec<Value> = serde_json::from_str(&api.text("/api/order").await).unwrap();
    assert_eq!(orders.len(), 4);
}

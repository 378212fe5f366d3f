//! SQLite's file, or a part of it, is removed or replaced while the API has it open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use test_database::Program;

use super::Api;
use crate::harness::{KEY, cart, eventually};

struct Shop {
    folder: tempfile::TempDir,
    api: Api,
}

impl Shop {
    /// One that has taken an order.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::new("order-food").in_folder(folder.path()).env("SERVER_PORT", "0");
        let api = Api::started(program.start());
        api.is_ready().await;
        api.order().await;
        Self { folder, api }
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("order-food.db{suffix}"))
    }

    async fn order(&self) -> (u16, Value) {
        let request = self.api.client.post(self.api.url("/api/order")).header("api_key", KEY);
        let request = request.header("content-type", "application/json").body(cart(&[("1", 1)]));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn readiness(&self) -> (u16, Value) {
        let response = self.api.client.get(self.api.url("/readyz")).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn becomes_unready(&self) {
        eventually("the loss is noticed", async || self.readiness().await.0 == 503).await;
        let (_, said) = self.readiness().await;
        assert_eq!(said["database"], "replaced");
        assert!(said["missing"][0].as_str().unwrap().contains("removed or replaced"), "{said}");
    }

    async fn takes_no_orders(&self) {
        let (status, said) = self.order().await;
        assert_eq!((status, &said["reason"]), (503, &"database_unavailable".into()), "{said}");
    }

    fn stop(self) -> tempfile::TempDir {
        let Self { folder, mut api } = self;
        api.process.signal("TERM");
        assert!(api.process.wait(Duration::from_secs(10)).success());
        folder
    }
}

fn remove(paths: impl IntoIterator<Item = PathBuf>) {
    for path in paths {
        std::fs::remove_file(path).unwrap();
    }
}

async fn stored(folder: &Path) -> i64 {
    let url: database::DatabaseUrl =
        format!("sqlite://{}", folder.join("order-food.db").display()).parse().unwrap();
    let mut session = database::Session::open(&url, "test", Duration::from_secs(5)).await.unwrap();
    let database::Engine::Sqlite(connection) = &mut session.connection else { unreachable!() };
    sqlx::query_scalar("select count(*) from orders").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn no_order_is_acknowledged_into_a_removed_file() {
    let shop = Shop::start().await;
    remove(["", "-wal", "-shm"].map(|suffix| shop.file(suffix)));
    // Before anything else has noticed.
    shop.takes_no_orders().await;
    shop.becomes_unready().await;
    shop.takes_no_orders().await;
    let read = shop.api.client.get(shop.api.url("/api/order")).header("api_key", KEY).send().await.unwrap();
    assert_eq!(read.status(), 503);
    assert_eq!(shop.api.client.get(shop.api.url("/api/product")).send().await.unwrap().status(), 200);
    assert!(!shop.file("").exists(), "an empty file was made in its place");
}

#[tokio::test]
async fn another_file_in_its_place_is_not_written() {
    let shop = Shop::start().await;
    let other = shop.folder.path().join("other.db");
    std::fs::copy(shop.file(""), &other).unwrap();
    std::fs::rename(&other, shop.file("")).unwrap();
    shop.takes_no_orders().await;
    shop.becomes_unready().await;
}

#[tokio::test]
async fn a_file_that_was_moved_away_serves_again_once_it_is_back() {
    let shop = Shop::start().await;
    let elsewhere = shop.folder.path().join("elsewhere.db");
    std::fs::rename(shop.file(""), &elsewhere).unwrap();
    shop.becomes_unready().await;
    shop.takes_no_orders().await;
    std::fs::rename(&elsewhere, shop.file("")).unwrap();
    eventually("it is ready again", async || shop.readiness().await.0 == 200).await;
    eventually("orders are taken again", async || shop.order().await.0 == 200).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_loss_of_the_log() {
    let shop = Shop::start().await;
    let before = stored(shop.folder.path()).await;
    for _ in 0..20 {
        assert_eq!(shop.order().await.0, 200);
    }
    remove(["-wal", "-shm"].map(|suffix| shop.file(suffix)));
    shop.becomes_unready().await;
    shop.takes_no_orders().await;
    let folder = shop.stop();
    assert_eq!(stored(folder.path()).await, before + 20);
}

#[tokio::test]
async fn what_was_acknowledged_is_saved_also_while_nobody_asks() {
    let mut shop = Shop::start().await;
    let before = stored(shop.folder.path()).await;
    for _ in 0..20 {
        assert_eq!(shop.order().await.0, 200);
    }
    remove([shop.file("-wal")]);
    shop.api.process.wait_for_line("\"is_saved\":true", Duration::from_secs(5));
    shop.api.process.signal("KILL");
    let _ = shop.api.process.wait(Duration::from_secs(10));
    assert_eq!(stored(shop.folder.path()).await, before + 20);
}

#[tokio::test]
async fn the_folder_with_the_file_is_moved() {
    let shop = Shop::start().await;
    let (here, there) = (shop.folder.path().to_owned(), shop.folder.path().with_extension("moved"));
    std::fs::rename(&here, &there).unwrap();
    // Its working directory has moved with it, so the path still names the file.
    assert_eq!(shop.order().await.0, 200);
    std::fs::rename(&there, &here).unwrap();
    assert_eq!(shop.order().await.0, 200);
}

//! `order-food` as a process.

mod breaking;
mod cut_connections;
mod distant;
mod documentation;
mod embedded;
mod file_removed;
mod guarantees;
mod handbook;
mod keys;
mod overlapping_keys;
mod proxy;
mod settings;
mod stopping;
mod traces;
mod two_instances;

use std::net::SocketAddr;
use std::time::Duration;

use test_database::{Program, Running, TestDatabase};

use crate::harness::eventually;

/// An API that runs as its own process.
struct Api {
    process: Running,
    address: SocketAddr,
    client: reqwest::Client,
}

impl Api {
    /// Starts one on a free port and waits until it listens.
    fn start(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let program = Program::new("order-food").env("DATABASE_URL", database_url).env("SERVER_PORT", "0");
        let program = settings.iter().fold(program, |program, (name, value)| program.env(name, value));
        Self::started(program.start())
    }

    fn started(mut process: Running) -> Self {
        let line = process.wait_for_line("\"listening\"", Duration::from_secs(20));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = line["address"].as_str().unwrap().parse().unwrap();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { process, address, client }
    }

    /// Waits until it has its data and can write orders.
    async fn is_ready(&self) {
        eventually("the API is ready", async || {
            let metrics = self.text("/metrics").await;
            metrics.contains("\nready 1") && !metrics.contains("\norder_writers_connected 0")
        })
        .await;
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn text(&self, path: &str) -> String {
        let request = self.client.get(self.url(path)).header("api_key", crate::harness::KEY);
        request.send().await.unwrap().text().await.unwrap()
    }

    async fn order(&self) -> serde_json::Value {
        let request = self.client.post(self.url("/api/order")).header("api_key", crate::harness::KEY);
        let body = crate::harness::cart(&[("1", 2), ("3", 1)]);
        let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}

/// Waits until PostgreSQL has ended all sessions of stopped APIs.
async fn no_session_is_left(database: &TestDatabase) {
    let sessions = "select count(*) from pg_stat_activity where datname = current_database() \
                    and application_name like 'order-food%'";
    eventually("all sessions end", async || database.number(sessions).await == 0).await;
}

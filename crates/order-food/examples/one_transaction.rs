//! Bench only: the usual design, one transaction for each order and one statement for each line, on the tables of
//! `scripts/bench/pgbench.sql`.

use actix_web::{App, HttpResponse, HttpServer, error, web};
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    product_id: String,
    quantity: i32,
}

async fn place(order: web::Json<Order>, pool: web::Data<PgPool>) -> Result<HttpResponse, actix_web::Error> {
    let id = store(&order, &pool).await.map_err(error::ErrorServiceUnavailable)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "id": id, "total": 35.97 })))
}

async fn store(order: &Order, pool: &PgPool) -> Result<i64, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let id: i64 = sqlx::query_scalar(
        "insert into bench_orders (client_id, status, created_at, total) values (1, 'placed', now(), 3597) returning id",
    )
    .fetch_one(&mut *transaction)
    .await?;
    for item in &order.items {
        sqlx::query(
            "insert into bench_lines (order_id, product_id, quantity, price) values ($1, $2, $3, 1299)",
        )
        .bind(id)
        .bind(item.product_id.parse::<i64>().unwrap_or_default())
        .bind(item.quantity)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(id)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(url)) = (arguments.next(), arguments.next()) else {
        return Err("usage: one_transaction ADDRESS DATABASE_URL".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let pool = web::Data::new(PgPoolOptions::new().max_connections(32).connect_lazy(&url)?);
        HttpServer::new(move || App::new().app_data(pool.clone()).default_service(web::to(place)))
            .workers(std::thread::available_parallelism().map_or(1, usize::from))
            .bind(address)?
            .run()
            .await?;
        Ok(())
    })
}

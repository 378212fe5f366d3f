//! Past orders.

use database_load::DataSet::{Orders, Products, Users};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{PRODUCTS, Shop, counts};

on_both_engines!(
    orders_are_added_once_and_outlive_their_products,
    bad_rows_are_named,
    a_dry_run_of_everything_works
);

const HEADER: &str = "order_id,client,created_at,product_id,quantity,unit_price\n";
const FIRST: &str = "01990a4c-5a00-7000-8000-000000000001,demo,2025-09-02T12:00:00Z,1,2,12.99\n\
                     01990a4c-5a00-7000-8000-000000000001,demo,2025-09-02T12:00:00Z,2,1,8.00\n";
const SECOND: &str = "01990a6e-39e0-7000-8000-000000000002,demo,2025-09-02T12:37:00Z,2,1,8.50\n";

async fn shop(engine: TestEngine) -> Shop {
    let shop = Shop::new(engine).await;
    shop.write(Products, PRODUCTS);
    shop.write(Users, "client,key,key_hash,scopes\ndemo,key,,read_orders\n");
    shop
}

async fn orders_are_added_once_and_outlive_their_products(engine: TestEngine) {
    let shop = shop(engine).await;
    // Clients and products of the same run may be named.
    assert_eq!(shop.load_file(Orders, &format!("{HEADER}{FIRST}")).await.1, counts(1, 1, 0, 0, 0, 0));
    assert_eq!(shop.load_file(Orders, &format!("{HEADER}{FIRST}{SECOND}")).await.1, counts(2, 1, 0, 0, 1, 0));
    shop.load_file(Products, "id,name,price,category\n1,Waffle,99,Waffle\n").await;
    assert_eq!(
        shop.database
            .texts(
                "select name || ' ' || cast(quantity as text) from order_lines order by order_id, position"
            )
            .await,
        ["Waffle 2", "Salad 1", "Salad 1"]
    );
    let total = "select cast(sum(total_cents) as bigint) from order_summaries";
    assert_eq!(shop.database.number(total).await, 2 * 1299 + 800 + 850);
}

async fn bad_rows_are_named(engine: TestEngine) {
    let shop = shop(engine).await;
    shop.load().await.unwrap();
    let id = "01990a6e-39e0-7000-8000-000000000002";
    for (rows, fault) in [
        ("x,demo,2025-09-02T12:37:00Z,2,1,8.50", "line 2, column order_id: "),
        (
            &format!("{id},demo,2025-09-02T12:38:00Z,2,1,8.50"),
            "line 2, column order_id: is not a UUIDv7 of the millisecond",
        ),
        (&format!("{id},nobody,2025-09-02T12:37:00Z,2,1,8.50"), "line 2, column client: is no known client"),
        (
            &format!("{id},demo,2025-09-02T12:37:00Z,9,1,8.50"),
            "line 2, column product_id: is no known product",
        ),
        (
            &format!("{id},demo,2025-09-02T12:37:00Z,2,0,8.50"),
            "line 2, column quantity: must be between 1 and 1000",
        ),
        (&format!("{id},demo,2025-09-02T12:37:00Z,2,1,free"), "line 2, column unit_price: is not an amount"),
        (&format!("{FIRST}{SECOND}{FIRST}"), "line 5, column order_id: has lines further up"),
    ] {
        let said = shop.refused(Orders, format!("{HEADER}{rows}\n")).await;
        assert!(said.starts_with(&format!("orders.csv, {fault}")), "{rows}: {said}");
    }
}

async fn a_dry_run_of_everything_works(engine: TestEngine) {
    let mut shop = shop(engine).await;
    shop.options.dry_run = true;
    assert_eq!(shop.load_file(Orders, &format!("{HEADER}{FIRST}")).await.1, counts(1, 1, 0, 0, 0, 0));
    assert_eq!(shop.database.number("select count(*) from orders").await, 0);
}

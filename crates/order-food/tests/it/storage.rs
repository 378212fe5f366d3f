//! The contract of storage, the same for both engines.

use database::Pools;
use domain::{
    ClientId, CouponCode, Money, NewOrder, Order, OrderLine, OrderOwner, OrderSnapshot, Placement, Product,
    ProductId, ProductImage, Quantity, Timestamp,
};
use futures_util::future::join_all;
use storage::metrics::WriterMetrics;
use storage::{Database, OrderWriter, StorageError};
use telemetry::metrics::Registry;
use test_database::{TestDatabase, TestEngine, on_both_engines};

on_both_engines!(
    orders_read_back_as_written,
    an_id_is_stored_once,
    pages_follow_the_id,
    an_unreadable_snapshot_is_named,
    the_menu_is_what_is_sold,
    keys_are_those_that_can_be_used,
    counters_and_schema,
    a_missing_table_is_not_an_outage,
    a_connection_is_had_after_many_gave_up,
);

/// A database with two clients, and a way to it.
pub async fn fresh(engine: TestEngine) -> (TestDatabase, Database) {
    let database = TestDatabase::migrated(engine).await;
    database
        .execute(
            "insert into api_clients (name, source, created_at, updated_at) values ('one', 'file', 0, 0), ('two', 'api', 0, 0)",
        )
        .await;
    let url = database.url();
    let storage = Database::new(Pools::open(&url, "test", 3), &url, &Registry::off());
    (database, storage)
}

fn start_writer(database: &TestDatabase) -> OrderWriter {
    OrderWriter::start(&database.url(), 2, &WriterMetrics::new(&Registry::off()))
}

/// An order to be stored with nothing beside it.
pub fn new(order: &Order) -> NewOrder {
    let snapshot_json = serde_json::to_string(&order.snapshot).unwrap();
    NewOrder {
        order: order.clone(),
        snapshot_json,
        idempotency: None,
        coupon: None,
        redemption: None,
        uses: vec![],
    }
}

/// An order whose texts hold what is hard to store.
pub fn order(client: i64, moment_micros: i64) -> Order {
    let product = Product {
        id: ProductId::new(9_007_199_254_740_993),
        name: "Crème \"brûlée\" 🍮 \\ '; drop table orders; --".into(),
        price: Money::MAX_PRICE,
        category: "Dessert".into(),
        image: Some(
            ProductImage {
                thumbnail: "t".into(),
                mobile: "m".into(),
                tablet: "b".into(),
                desktop: "d".into(),
            }
            .into(),
        ),
    };
    let line = OrderLine {
        discount_cents: Money::from_cents(7),
        ..OrderLine::sell(&product, Quantity::try_from(1000).unwrap())
    };
    let code: CouponCode = "SAVE10".parse().unwrap();
    let snapshot = OrderSnapshot::of(vec![line; 3], Some(code));
    Order::place(ClientId::new(client), snapshot, Timestamp::from_micros(moment_micros))
}

async fn orders_read_back_as_written(engine: TestEngine) {
    let (database, storage) = fresh(engine).await;
    let writer = start_writer(&database);
    let order = order(1, 1_795_000_000_123_456);
    writer.place(new(&order)).await.unwrap();
    let found = storage.find_order(order.id, OrderOwner::Client(ClientId::new(1))).await.unwrap();
    assert_eq!(found.as_ref(), Some(&order));
    assert_eq!(storage.find_order(order.id, OrderOwner::Anyone).await.unwrap(), Some(order.clone()));
    assert_eq!(storage.find_order(order.id, OrderOwner::Client(ClientId::new(2))).await.unwrap(), None);
}

async fn an_id_is_stored_once(engine: TestEngine) {
    let (database, _) = fresh(engine).await;
    let writer = start_writer(&database);
    let order = order(1, 1_795_000_000_000_000);
    for _ in 0..2 {
        // The second time is what a retry after a lost answer looks like.
        assert_eq!(writer.place(new(&order)).await.unwrap(), Placement::Stored);
    }
    assert_eq!(database.number("select count(*) from orders").await, 1);
}

async fn pages_follow_the_id(engine: TestEngine) {
    let (database, storage) = fresh(engine).await;
    let writer = start_writer(&database);
    let mut own = Vec::new();
    for minute in 0..7 {
        let (one, two) = (
            order(1, 1_795_000_000_000_000 + minute * 1000),
            order(2, 1_795_000_000_000_000 + minute * 1000),
        );
        writer.place(new(&one)).await.unwrap();
        writer.place(new(&two)).await.unwrap();
        own.push(one.id);
    }
    own.reverse();
    let owner = OrderOwner::Client(ClientId::new(1));
    let ids = |page: Vec<Order>| page.into_iter().map(|order| order.id).collect::<Vec<_>>();
    assert_eq!(ids(storage.list_orders(owner, None, 3).await.unwrap()), own[..3]);
    assert_eq!(ids(storage.list_orders(owner, Some(own[2]), 100).await.unwrap()), own[3..]);
    assert_eq!(storage.list_orders(owner, Some(own[6]), 100).await.unwrap(), []);
    assert_eq!(storage.list_orders(OrderOwner::Anyone, None, 100).await.unwrap().len(), 14);
}

async fn an_unreadable_snapshot_is_named(engine: TestEngine) {
    let (database, storage) = fresh(engine).await;
    let writer = start_writer(&database);
    let order = order(1, 1_795_000_000_000_000);
    writer.place(new(&order)).await.unwrap();
    database.execute("update orders set snapshot = '{\"v\": 1}'").await;
    let error = storage.find_order(order.id, OrderOwner::Anyone).await.unwrap_err();
    assert!(matches!(&error, StorageError::Inconsistent { table: "orders", .. }), "{error:?}");
    assert!(error.to_string().contains(&order.id.to_string()), "{error}");
}

async fn the_menu_is_what_is_sold(engine: TestEngine) {
    let (database, storage) = fresh(engine).await;
    database
        .execute(
            "insert into products (id, name, category, price_cents, image_thumbnail, image_mobile, image_tablet, \
             image_desktop, source, retired_at, created_at, updated_at) values \
             (9, 'Nine', 'C', 0, 't', 'm', 'b', 'd', 'file', null, 0, 0), (2, 'Gone', 'C', 1, null, null, null, null, 'file', 5, 0, 0), \
             (1, 'One', 'C', 999999999, null, null, null, null, 'api', null, 0, 0)",
        )
        .await;
    let products = storage.products().await.unwrap();
    assert_eq!(products.iter().map(|product| &*product.name).collect::<Vec<_>>(), ["One", "Nine"]);
    assert_eq!(products[0].price, Money::MAX_PRICE);
    assert_eq!(products[1].image.as_ref().unwrap().tablet, "b");
}

async fn keys_are_those_that_can_be_used(engine: TestEngine) {
    let (database, storage) = fresh(engine).await;
    let pepper = domain::Pepper::new(b"p");
    for key in ["good", "revoked", "retired"] {
        crate::harness::insert_key(&database, key, &pepper, key, "read_orders", "77").await;
    }
    let by_client = |name: &str| format!("(select id from api_clients where name = '{name}')");
    database
        .execute(&format!(
            "update api_keys set revoked_at = 1 where client_id = {}; update api_keys set retired_at = 1 where client_id = {}",
            by_client("revoked"),
            by_client("retired")
        ))
        .await;
    let keys = storage.api_keys().await.unwrap().items;
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].hash, pepper.hash("good"));
    assert_eq!(keys[0].expires_at, Some(Timestamp::from_micros(77)));
    assert_eq!(keys[0].scopes.to_string(), "read_orders");
}

async fn counters_and_schema(engine: TestEngine) {
    let (database, storage) = fresh(engine).await;
    let before = storage.change_counters().await.unwrap();
    database.execute("update change_counters set menu = menu + 1").await;
    let after = storage.change_counters().await.unwrap();
    assert_eq!((after.menu, after.api_keys), (before.menu + 1, before.api_keys));
    let schema = storage.schema().await.unwrap();
    assert_eq!((schema.applied.len(), schema.pending.len()), (3, 0));
}

async fn a_missing_table_is_not_an_outage(engine: TestEngine) {
    let (database, _) = fresh(engine).await;
    database.execute("drop view order_lines; drop view order_summaries; drop table orders").await;
    let writer = start_writer(&database);
    let error = writer.place(new(&order(1, 1_795_000_000_000_000))).await.unwrap_err();
    assert!(matches!(error, StorageError::Refused), "{error:?}");
}

async fn a_connection_is_had_after_many_gave_up(engine: TestEngine) {
    let (database, _) = fresh(engine).await;
    let pools = Pools::open(&database.url(), "test", 1);
    let held = pools.reader().await.unwrap();
    let gave_up = join_all((0..100).map(|_| pools.reader())).await;
    assert!(gave_up.iter().all(Result::is_err), "there is one connection");
    drop(held);
    pools.reader().await.unwrap();
}

#[tokio::test]
async fn postgres_is_told_to_notice_within_half_a_minute_that_a_client_is_gone() {
    let (database, _) = fresh(TestEngine::Postgres).await;
    let seconds = "select current_setting('tcp_keepalives_idle')::bigint + current_setting('tcp_keepalives_interval')::bigint \
                   * current_setting('tcp_keepalives_count')::bigint";
    assert_eq!(database.number(seconds).await, 30);
    let unacknowledged_millis = "select setting::bigint from pg_settings where name = 'tcp_user_timeout'";
    assert_eq!(database.number(unacknowledged_millis).await, 30_000);
}

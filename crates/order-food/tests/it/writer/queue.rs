//! More orders than the queue takes, while nothing can be stored.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{OrderItem, ProductId, Quantity, Scope};
use order_food::service::ordering::{Cart, OrderRefused};
use serde_json::Value;
use storage::StorageError;
use test_database::{TestEngine, execute, on_both_engines};

use crate::harness::{KEY, TestServer, cart, eventually, hold_orders, order_ids};

on_both_engines!(a_full_queue_refuses_at_once_and_loses_nothing);

const QUEUE: usize = 4096;
/// What the writers can have taken out of the queue already: two of them on PostgreSQL, a batch each.
const TAKEN: usize = 2 * 256;
const OVER: usize = 100;

async fn a_full_queue_refuses_at_once_and_loses_nothing(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    server.order(KEY, &[("1", 1)]).await;
    let before = order_ids(&server.database).await;
    let mut holder = hold_orders(&server.database).await;

    let caller = server.state.catalogue.api_keys.authenticate(KEY, Scope::CreateOrder).unwrap();
    let line = OrderItem { product_id: ProductId::new(1), quantity: Quantity::try_from(1).unwrap() };
    let refused = Arc::new(AtomicUsize::new(0));
    let place = |_| {
        let (state, refused) = (server.state.clone(), refused.clone());
        tokio::spawn(async move {
            let placed =
                state.ordering.place(caller, Cart { items: vec![line], coupon_code: None }, None).await;
            if matches!(placed, Err(OrderRefused::Storage(StorageError::QueueFull))) {
                refused.fetch_add(1, Ordering::Relaxed);
            }
            placed
        })
    };
    let orders: Vec<_> = (0..QUEUE + TAKEN + OVER).map(place).collect();
    eventually("the queue is full", async || refused.load(Ordering::Relaxed) >= OVER).await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let asked = Instant::now();
        let answer = server.order_text(KEY, cart(&[("1", 1)])).await;
        let took = asked.elapsed();
        answer.assert_error(503, "overloaded");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        slow.extend(Some(took).filter(|took| *took >= Duration::from_millis(50)));
    }
    // Other tests run beside this one: two may have waited for a processor, not for the queue.
    assert!(slow.len() <= 2, "a full queue answered after {slow:?}");
    execute(holder.connection.as_mut(), "rollback").await;

    let mut acknowledged = HashSet::new();
    for order in orders {
        match order.await.unwrap() {
            Ok(placed) => {
                let order: Value = serde_json::from_slice(&placed.body).unwrap();
                assert!(acknowledged.insert(order["id"].as_str().unwrap().to_owned()));
            }
            Err(OrderRefused::Storage(StorageError::QueueFull)) => {}
            Err(error) => panic!("an order that was in the queue: {error:?}"),
        }
    }
    assert!((1..=QUEUE + TAKEN).contains(&acknowledged.len()), "{}", acknowledged.len());
    let stored = order_ids(&server.database).await;
    assert_eq!(stored.difference(&before).cloned().collect::<HashSet<_>>(), acknowledged);
    server.order(KEY, &[("1", 1)]).await;
}

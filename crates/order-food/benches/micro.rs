//! What an order costs in memory, before the database: pricing, the check of its key, the look-up of its code.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use database::{DatabaseUrl, Pools};
use domain::{
    ClientId, CodeSet, CouponCode, Money, OrderLine, Pepper, Product, ProductId, Promotion, PromotionKind,
    Quantity, Scope, SystemClock, Timestamp, price,
};
use order_food::service::{ApiKeys, Promotions};
use storage::{Database, StoredKey};
use telemetry::metrics::Registry;

const KEYS: i64 = 1_000;
const CODES: u32 = 10_000_000;
const PEPPER: &[u8] = b"a pepper of thirty-two characters";

fn stored_keys() -> Vec<StoredKey> {
    let pepper = Pepper::new(PEPPER);
    let key = |id: i64| StoredKey {
        id,
        hash: pepper.hash(&format!("key-{id}")),
        pepper_fingerprint: pepper.fingerprint().to_vec(),
        client_id: ClientId::new(id),
        scopes: "create_order read_orders".parse().unwrap(),
        expires_at: None,
    };
    (0..KEYS).map(key).collect()
}

fn codes() -> CodeSet {
    let mut codes = CodeSet::with_capacity(CODES as usize);
    for number in 0..CODES {
        codes.insert(&format!("C{number:08}"));
    }
    codes
}

fn promotion(code: &str) -> Promotion {
    Promotion {
        code: code.parse().unwrap(),
        kind: PromotionKind::Percentage { basis_points: 1_000 },
        min_items: 0,
        min_subtotal: Money::ZERO,
        max_discount: None,
        starts_at: None,
        ends_at: None,
        max_uses: None,
        max_uses_per_client: None,
        active: true,
    }
}

fn lines(count: i64) -> Vec<OrderLine> {
    let line = |id: i64| {
        let product = Product {
            id: ProductId::new(id),
            name: format!("Product {id}").into(),
            price: Money::from_cents(599 + 37 * id),
            category: "Waffle".into(),
            image: None,
        };
        OrderLine::sell(&product, Quantity::try_from(id % 7 + 1).unwrap())
    };
    (1..=count).map(line).collect()
}

fn pricing(criterion: &mut Criterion) {
    let (now, percent) = (Timestamp::from_micros(1_795_000_000_000_000), promotion("SAVE10"));
    for (count, promotion) in [(2, None), (2, Some(&percent)), (100, Some(&percent))] {
        let code = if promotion.is_some() { "10 percent off" } else { "no code" };
        criterion.bench_function(&format!("price {count} lines, {code}"), |bencher| {
            let lines = lines(count);
            bencher.iter_batched(
                || lines.clone(),
                |lines| price(lines, promotion, None, now),
                BatchSize::SmallInput,
            );
        });
    }
}

fn key_check(criterion: &mut Criterion, keys: &ApiKeys) {
    for (name, key, is_good) in [("a good key", "key-500", true), ("an unknown key", "key-x", false)] {
        assert_eq!(keys.authenticate(key, Scope::CreateOrder).is_ok(), is_good);
        criterion.bench_function(&format!("check {name} among {KEYS}"), |bencher| {
            bencher.iter(|| keys.authenticate(black_box(key), Scope::CreateOrder));
        });
    }
}

/// A different one each time, so that none is in the processor's cache already.
fn coupon_lookup(criterion: &mut Criterion, promotions: &Promotions) {
    let codes = |name: fn(u32) -> String| -> Vec<CouponCode> {
        (0..100_000_u32)
            .map(|number| name(number.wrapping_mul(2_654_435_761) % CODES).parse().unwrap())
            .collect()
    };
    for (name, codes) in [
        ("a promotion", codes(|number| format!("SAVE{}", number % 100))),
        ("a code of the files", codes(|number| format!("C{number:08}"))),
        ("an unknown code", codes(|number| format!("X{number:08}"))),
    ] {
        let mut next = codes.iter().cycle();
        criterion.bench_function(&format!("find {name} among {CODES}"), |bencher| {
            bencher.iter(|| promotions.find(black_box(next.next().unwrap())));
        });
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _within = runtime.enter();
    // Nothing is read from it.
    let url: DatabaseUrl = "sqlite://unused.db".parse().unwrap();
    let database = Database::new(Pools::open(&url, "bench", 1), &url, &Registry::off());
    let keys = ApiKeys::new(database.clone(), Pepper::new(PEPPER), Arc::new(SystemClock));
    let promotions = Promotions::new(database);
    keys.replace(stored_keys());
    promotions.replace((0..100).map(|number| promotion(&format!("SAVE{number}"))).collect());
    promotions.replace_corpus(codes());
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    pricing(&mut criterion);
    key_check(&mut criterion, &keys);
    coupon_lookup(&mut criterion, &promotions);
    criterion.final_summary();
}

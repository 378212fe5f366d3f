//! Promo codes on `POST /api/order` and `POST /api/order/quote`

use reqwest::Method;
use serde_json::{Value, json};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{ADMIN_KEY, Answer, KEY, OTHER_KEY, TestServer, eventually};

on_both_engines!(
    the_seeded_codes,
    codes_of_the_coupon_files,
    conditions_have_their_reasons,
    a_limit_holds_and_a_failed_order_uses_up_nothing,
    a_limit_for_each_client,
    quotes_cost_nothing,
    a_quote_needs_no_key,
    line_discounts_are_in_the_snapshot,
    an_empty_code_is_none,
    blanks_around_a_code_are_left_out,
    accents_may_be_written_either_way,
    what_takes_nothing_off_uses_up_nothing,
    a_switched_off_promotion_hides_a_code_of_the_files,
);

fn body(items: &[(&str, u32)], code: &str) -> String {
    let mut body: Value = serde_json::from_str(&crate::harness::cart(items)).unwrap();
    body["couponCode"] = code.into();
    body.to_string()
}

async fn order(server: &TestServer, key: &str, items: &[(&str, u32)], code: &str) -> Answer {
    server.order_text(key, body(items, code)).await
}

async fn quote(server: &TestServer, items: &[(&str, u32)], code: &str) -> Answer {
    let request = server.request(Method::POST, "/api/order/quote").header("content-type", "application/json");
    server.send(request.body(body(items, code))).await
}

/// Adds a promotion, as the API of a later release would.
async fn promotion(server: &TestServer, code: &str, columns: &str, values: &str) {
    server
        .database
        .execute(&format!(
            "insert into promotions (code, kind, value, min_items, min_subtotal_cents, active, source, created_at, \
             updated_at{columns}) values ('{code}', 'fixed', 100, 0, 0, {}, 'api', 0, 0{values}); \
             update change_counters set promotions = promotions + 1",
            if server.database.url().engine() == "sqlite" { "1" } else { "true" },
        ))
        .await;
    eventually("the promotion arrives", async || {
        !quote(server, &[("1", 1)], code).await.text.contains("coupon_unknown")
    })
    .await;
}

async fn the_seeded_codes(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    server
        .database
        .execute(
            "update products set price_cents = 800 where id = 9; update change_counters set menu = menu + 1",
        )
        .await;
    eventually("the price arrives", async || server.get("/api/product/9").await.text.contains("8.00")).await;
    for (items, code, discount, total) in [
        (&[("1", 2), ("3", 1)][..], "SAVE10", 3.60, 32.37),
        (&[("9", 1)][..], "HAPPYHOURS", 1.44, 6.56),
        (&[("1", 1), ("3", 1)][..], "BUYGETONE", 9.99, 12.99),
        (&[("1", 2)][..], "BUYGETONE", 12.99, 12.99),
    ] {
        let answer = order(&server, KEY, items, code).await;
        assert_eq!(answer.status, 200, "{code}: {}", answer.text);
        let placed = answer.json();
        assert_eq!((&placed["discounts"], &placed["total"]), (&json!(discount), &json!(total)), "{code}");
        assert_eq!(placed["couponCode"], code);
        let found = server.get_with_key(&format!("/api/order/{}", placed["id"].as_str().unwrap()), KEY).await;
        assert_eq!(found.text, answer.text, "the order reads back to the byte");
    }
    order(&server, KEY, &[("1", 1)], "BUYGETONE").await.assert_error(422, "coupon_minimum_not_met");
    assert_eq!(server.database.number("select count(*) from promotion_redemptions").await, 4);
}

async fn codes_of_the_coupon_files(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for code in ["HAPPYHRS", "BIRTHDAY", "OVER9000"] {
        let placed = order(&server, KEY, &[("1", 2)], code).await.json();
        assert_eq!((&placed["discounts"], &placed["total"]), (&json!(0.0), &json!(25.98)), "{code}");
        assert_eq!(placed["couponCode"], code);
    }
    for code in
        ["SUPER100", "TWICEIN1", "happyhrs", "save10", "SAVE 10", "SAVE1", "HAPPYHR", "' or 1=1 --", "💥"]
    {
        order(&server, KEY, &[("1", 2)], code).await.assert_error(422, "coupon_unknown");
    }
    order(&server, KEY, &[("1", 2)], &"X".repeat(65)).await.assert_error(400, "validation_failed");
}

async fn an_empty_code_is_none(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for code in ["", " ", "\u{a0}\t", "\u{feff}"] {
        let placed = order(&server, KEY, &[("1", 2)], code).await.json();
        assert_eq!((placed.get("couponCode"), &placed["total"]), (None, &json!(25.98)), "{code:?}");
        assert_eq!(quote(&server, &[("1", 2)], code).await.json()["total"], 25.98, "{code:?}");
    }
}

async fn blanks_around_a_code_are_left_out(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for code in [" SAVE10", "SAVE10\n", "\u{a0}SAVE10\u{202f}", "\u{feff}SAVE10\u{200b}"] {
        let placed = order(&server, KEY, &[("1", 2), ("3", 1)], code).await.json();
        assert_eq!(
            (&placed["couponCode"], &placed["discounts"]),
            (&json!("SAVE10"), &json!(3.6)),
            "{code:?}"
        );
    }
    let padded = format!("{}SAVE10{}", " ".repeat(60), " ".repeat(60));
    assert_eq!(order(&server, KEY, &[("1", 1)], &padded).await.status, 200);
}

async fn accents_may_be_written_either_way(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    promotion(&server, "CAFE\u{301}10", "", "").await;
    promotion(&server, "Ñandú", "", "").await;
    for code in ["CAFÉ10", "CAFE\u{301}10", "N\u{303}andu\u{301}", "Ñandú"] {
        let placed = order(&server, KEY, &[("1", 1)], code).await.json();
        assert_eq!((&placed["couponCode"], &placed["discounts"]), (&json!(code), &json!(1.0)));
    }
    order(&server, KEY, &[("1", 1)], "CAFE10").await.assert_error(422, "coupon_unknown");
}

async fn what_takes_nothing_off_uses_up_nothing(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    server
        .database
        .execute(
            "update products set price_cents = 0 where id = 2; update products set price_cents = 900 where id = 1; \
             update change_counters set menu = menu + 1",
        )
        .await;
    eventually("the prices arrive", async || server.get("/api/product/1").await.text.contains("9.00")).await;
    promotion(&server, "ONCE", ", max_uses", ", 1").await;
    for _ in 0..3 {
        let placed = order(&server, KEY, &[("2", 2)], "ONCE").await.json();
        assert_eq!((&placed["discounts"], &placed["couponCode"]), (&json!(0.0), &json!("ONCE")));
    }
    assert_eq!(server.database.number("select count(*) from promotion_redemptions").await, 0);
    assert_eq!(server.database.number("select count(*) from limit_counters").await, 0);
    assert_eq!(order(&server, KEY, &[("1", 1)], "ONCE").await.json()["discounts"], 1.0);
    order(&server, KEY, &[("1", 1)], "ONCE").await.assert_error(422, "coupon_limit_reached");
    quote(&server, &[("1", 1)], "ONCE").await.assert_error(422, "coupon_limit_reached");
    assert_eq!(quote(&server, &[("2", 1)], "ONCE").await.json()["discounts"], 0.0);
    // The free unit is one that costs something.
    assert_eq!(order(&server, KEY, &[("1", 1), ("2", 1)], "BUYGETONE").await.json()["discounts"], 9.0);
}

async fn conditions_have_their_reasons(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    promotion(&server, "LATER", ", starts_at", ", 9000000000000000").await;
    promotion(&server, "EARLIER", ", ends_at", ", 1").await;
    promotion(&server, "NEVER", ", max_uses", ", 0").await;
    for (code, reason) in
        [("LATER", "coupon_not_started"), ("EARLIER", "coupon_expired"), ("NEVER", "coupon_limit_reached")]
    {
        let answer = order(&server, KEY, &[("1", 1)], code).await;
        answer.assert_error(422, reason);
        assert_eq!(answer.pointers(), ["/couponCode"]);
        quote(&server, &[("1", 1)], code).await.assert_error(422, reason);
    }
}

async fn a_limit_holds_and_a_failed_order_uses_up_nothing(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    promotion(&server, "TWICE", ", max_uses", ", 2").await;
    // Refused for other reasons: shape, product, key.
    order(&server, KEY, &[("1", 0)], "TWICE").await.assert_error(400, "validation_failed");
    order(&server, KEY, &[("99", 1)], "TWICE").await.assert_error(422, "unknown_product");
    order(&server, "wrong", &[("1", 1)], "TWICE").await.assert_error(403, "invalid_api_key");
    for _ in 0..2 {
        assert_eq!(order(&server, KEY, &[("1", 1)], "TWICE").await.status, 200);
    }
    for _ in 0..3 {
        order(&server, KEY, &[("1", 1)], "TWICE").await.assert_error(422, "coupon_limit_reached");
    }
    assert_eq!(server.database.number("select used from limit_counters").await, 2);
    assert_eq!(server.database.number("select count(*) from promotion_redemptions").await, 2);
}

async fn a_limit_for_each_client(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    promotion(&server, "ONEEACH", ", max_uses, max_uses_per_client", ", 3, 1").await;
    assert_eq!(order(&server, KEY, &[("1", 1)], "ONEEACH").await.json()["discounts"], 1.0);
    order(&server, KEY, &[("1", 1)], "ONEEACH").await.assert_error(422, "coupon_client_limit_reached");
    assert_eq!(order(&server, OTHER_KEY, &[("1", 1)], "ONEEACH").await.status, 200);
    assert_eq!(order(&server, ADMIN_KEY, &[("1", 1)], "ONEEACH").await.status, 200);
    order(&server, OTHER_KEY, &[("1", 1)], "ONEEACH").await.assert_error(422, "coupon_limit_reached");
    let used = "select used from limit_counters where name = 'promotion:ONEEACH'";
    assert_eq!(server.database.number(used).await, 3);
    // A quote with a key counts that client's uses, one without cannot.
    let asked = server.request(Method::POST, "/api/order/quote").header("content-type", "application/json");
    let asked = asked.header("api_key", KEY).body(body(&[("1", 1)], "ONEEACH"));
    server.send(asked).await.assert_error(422, "coupon_limit_reached");
}

async fn quotes_cost_nothing(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    promotion(&server, "ONCE", ", max_uses", ", 1").await;
    let before = server.database.number("select count(*) from orders").await;
    for _ in 0..3 {
        let quoted = quote(&server, &[("1", 2), ("3", 1)], "ONCE").await;
        assert_eq!(quoted.status, 200);
        assert!(
            quoted.text.contains(r#""subtotal":35.97,"discounts":1.00,"total":34.97,"couponCode":"ONCE""#),
            "{}",
            quoted.text
        );
        assert_eq!(quoted.json().get("id"), None);
    }
    assert_eq!(server.database.number("select count(*) from orders").await, before);
    assert_eq!(order(&server, KEY, &[("1", 2)], "ONCE").await.status, 200);
    quote(&server, &[("1", 1)], "ONCE").await.assert_error(422, "coupon_limit_reached");
}

async fn a_quote_needs_no_key(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let post = || server.request(Method::POST, "/api/order/quote").header("content-type", "application/json");
    let quoted = server.send(post().body(crate::harness::cart(&[("1", 1)]))).await;
    assert_eq!(
        quoted.text,
        r#"{"items":[{"productId":"1","quantity":1}],"products":[{"id":"1","name":"Chicken Waffle","price":12.99,"category":"Waffle"}],"subtotal":12.99,"discounts":0.00,"total":12.99}"#
    );
    server
        .send(post().header("api_key", "wrong").body(crate::harness::cart(&[("1", 1)])))
        .await
        .assert_error(403, "invalid_api_key");
    server.send(post().body("{}")).await.assert_error(400, "validation_failed");
    server.send(post().body(crate::harness::cart(&[("99", 1)]))).await.assert_error(422, "unknown_product");
}

async fn line_discounts_are_in_the_snapshot(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    order(&server, KEY, &[("1", 2), ("3", 1), ("5", 7)], "SAVE10").await;
    let lines = "select cast(sum(discount_cents) as bigint) from order_lines where order_id = (select max(id) from order_summaries)";
    let lines = match engine {
        TestEngine::Postgres => lines
            .replace("max(id)", "id")
            .replace("order_summaries)", "order_summaries order by created_at desc limit 1)"),
        TestEngine::Sqlite => lines.to_owned(),
    };
    // 10 % of 25.98 + 9.99 + 62.93
    assert_eq!(server.database.number(&lines).await, 989);
}

async fn a_switched_off_promotion_hides_a_code_of_the_files(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    promotion(&server, "HAPPYHRS", "", "").await;
    eventually("the promotion decides", async || {
        order(&server, KEY, &[("1", 1)], "HAPPYHRS").await.json()["discounts"] == 1.0
    })
    .await;
    let off = if engine == TestEngine::Sqlite { "0" } else { "false" };
    server
        .database
        .execute(&format!("update promotions set active = {off} where code = 'HAPPYHRS'; update change_counters set promotions = promotions + 1"))
        .await;
    eventually("it is switched off", async || {
        order(&server, KEY, &[("1", 1)], "HAPPYHRS").await.status == 422
    })
    .await;
    order(&server, KEY, &[("1", 1)], "HAPPYHRS").await.assert_error(422, "coupon_unknown");
}

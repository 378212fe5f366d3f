//! `POST /api/order`

use reqwest::Method;
use serde_json::{Value, json};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{KEY, TestServer, cart};

on_both_engines!(
    an_order_is_priced_and_stored,
    duplicate_products_are_priced_each,
    numbers_have_two_decimals,
    the_largest_order_fits,
    what_is_not_json,
    a_byte_order_mark_is_no_part_of_the_body,
    what_has_the_wrong_shape,
    what_the_rules_refuse,
    unknown_members_are_ignored,
    media_types,
    bodies_have_a_limit,
    checks_come_in_order,
    a_refused_order_leaves_nothing,
);

async fn an_order_is_priced_and_stored(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let order = server.order(KEY, &[("1", 2), ("3", 1)]).await;
    let (id, created_at) = (order["id"].as_str().unwrap(), order["createdAt"].as_str().unwrap());
    assert_eq!(
        order,
        json!({
            "id": id,
            "items": [{"productId": "1", "quantity": 2}, {"productId": "3", "quantity": 1}],
            "products": [
                {"id": "1", "name": "Chicken Waffle", "price": 12.99, "category": "Waffle"},
                {"id": "3", "name": "Blueberry Pancakes", "price": 9.99, "category": "Pancakes"},
            ],
            "subtotal": 35.97,
            "discounts": 0.0,
            "total": 35.97,
            "status": "placed",
            "createdAt": created_at,
        })
    );
    let uuid: uuid::Uuid = id.parse().unwrap();
    assert_eq!(uuid.get_version_num(), 7);
    let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
    let moment = domain::Timestamp::parse_rfc3339(created_at).unwrap();
    assert_eq!(u64::try_from(moment.millis()).unwrap(), seconds * 1000 + u64::from(nanos / 1_000_000));
    let stored = "select total_cents from order_summaries order by created_at desc limit 1";
    assert_eq!(server.database.number(stored).await, 3597);
}

async fn duplicate_products_are_priced_each(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let order = server.order(KEY, &[("5", 1), ("5", 3), ("5", 1)]).await;
    assert_eq!(order["items"].as_array().unwrap().len(), 3);
    assert_eq!(order["products"].as_array().unwrap().len(), 3);
    assert_eq!(order["total"], 44.95);
}

async fn numbers_have_two_decimals(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let answer = server.order_text(KEY, cart(&[("10", 10)])).await;
    assert!(answer.text.contains(r#""subtotal":104.90,"discounts":0.00,"total":104.90"#), "{}", answer.text);
}

async fn the_largest_order_fits(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let answer = server.order_text(KEY, cart(&[("8", 1000); 100])).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains(r#""total":1599000.00"#), "{}", answer.text);
}

async fn what_is_not_json(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_items = format!(r#"{{"items": {deep}}}"#);
    let deep_open = "{\"a\":".repeat(5000);
    for body in [
        "",
        "{",
        "nope",
        "{'items': []}",
        r#"{"items": [}"#,
        "[]x",
        r#"{"items":[{"productId":"1","quantity":01}]}"#,
        r#"{"items":[{"productId":"1","quantity":NaN}]}"#,
        &deep,
        &deep_items,
        &deep_open,
    ] {
        server.order_text(KEY, body.to_owned()).await.assert_error(400, "invalid_json");
    }
    server.order_text(KEY, b"{\"items\":[],\"x\":\"\xff\"}".to_vec()).await.assert_error(400, "invalid_json");
    // Deep where nobody looks: shape is checked as ever.
    let ignored = format!(r#"{{"note": {deep}, "items": []}}"#);
    server.order_text(KEY, ignored).await.assert_error(400, "validation_failed");
}

async fn a_byte_order_mark_is_no_part_of_the_body(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let with_mark = format!("\u{feff}{}", cart(&[("1", 1)]));
    assert_eq!(server.order_text(KEY, with_mark.clone()).await.status, 200);
    let quote = server.request(Method::POST, "/api/order/quote").header("content-type", "application/json");
    assert_eq!(server.send(quote.body(with_mark)).await.status, 200);
    for body in ["\u{feff}", "\u{feff}\u{feff}{}", "{\"items\":\u{feff}[]}"] {
        server.order_text(KEY, body).await.assert_error(400, "invalid_json");
    }
    let utf_16: Vec<u8> = cart(&[("1", 1)]).encode_utf16().flat_map(u16::to_le_bytes).collect();
    server.order_text(KEY, [b"\xff\xfe".to_vec(), utf_16].concat()).await.assert_error(400, "invalid_json");
}

async fn what_has_the_wrong_shape(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let good = json!({"productId": "1", "quantity": 1});
    let with_quantity =
        |quantity: &str| format!(r#"{{"items":[{{"productId":"1","quantity":{quantity}}}]}}"#);
    let with_id = |id: &str| format!(r#"{{"items":[{{"productId":{id},"quantity":1}}]}}"#);
    let cases: Vec<(String, &[&str])> = vec![
        ("[]".into(), &[""]),
        ("null".into(), &[""]),
        ("1".into(), &[""]),
        ("\"x\"".into(), &[""]),
        ("{}".into(), &["/items"]),
        (r#"{"items": null}"#.into(), &["/items"]),
        (r#"{"items": {}}"#.into(), &["/items"]),
        (r#"{"items": "1"}"#.into(), &["/items"]),
        (r#"{"items": []}"#.into(), &["/items"]),
        (json!({"items": vec![good.clone(); 101]}).to_string(), &["/items"]),
        (json!({"items": vec![good.clone(); 1000]}).to_string(), &["/items"]),
        (r#"{"items": [null]}"#.into(), &["/items/0"]),
        (r#"{"items": [[]]}"#.into(), &["/items/0"]),
        (r#"{"items": ["1"]}"#.into(), &["/items/0"]),
        (r#"{"items": [{}]}"#.into(), &["/items/0/productId", "/items/0/quantity"]),
        (r#"{"items": [{"productId": "1"}]}"#.into(), &["/items/0/quantity"]),
        (r#"{"items": [{"quantity": 1}]}"#.into(), &["/items/0/productId"]),
        (with_quantity("0"), &["/items/0/quantity"]),
        (with_quantity("-1"), &["/items/0/quantity"]),
        (with_quantity("1.5"), &["/items/0/quantity"]),
        (with_quantity("\"2\""), &["/items/0/quantity"]),
        (with_quantity("1001"), &["/items/0/quantity"]),
        (with_quantity("9223372036854775808"), &["/items/0/quantity"]),
        (with_quantity("1e400"), &[]),
        (with_quantity("true"), &["/items/0/quantity"]),
        (with_quantity("null"), &["/items/0/quantity"]),
        (with_quantity("[1]"), &["/items/0/quantity"]),
        (with_id("1"), &["/items/0/productId"]),
        (with_id("\"007\""), &["/items/0/productId"]),
        (with_id("\"+7\""), &["/items/0/productId"]),
        (with_id("\"abc\""), &["/items/0/productId"]),
        (with_id("\"\""), &["/items/0/productId"]),
        (with_id("\"9223372036854775808\""), &["/items/0/productId"]),
        (with_id("\"1\\u0000\""), &["/items/0/productId"]),
        (json!({"items": [good], "couponCode": "X".repeat(65)}).to_string(), &["/couponCode"]),
        (json!({"items": [good], "couponCode": 1}).to_string(), &["/couponCode"]),
        (
            r#"{"items":[{"productId":"1","quantity":1}],"items":[{"productId":"1","quantity":1}]}"#.into(),
            &["/items"],
        ),
        (r#"{"items":[{"productId":"1","quantity":1,"quantity":2}]}"#.into(), &["/items/0/quantity"]),
    ];
    for (body, pointers) in cases {
        let answer = server.order_text(KEY, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        // A number beyond all floats is no JSON to the parser; either answer is right.
        if !pointers.is_empty() {
            answer.assert_error(400, "validation_failed");
            assert_eq!(answer.pointers(), pointers, "{body}");
        }
    }
    let hopeless = json!({"items": vec![json!({}); 100]}).to_string();
    assert_eq!(server.order_text(KEY, hopeless).await.pointers().len(), 20, "details have a bound");
}

async fn what_the_rules_refuse(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let answer = server.order_text(KEY, cart(&[("1", 1), ("11", 1), ("0", 1), ("-5", 1)])).await;
    answer.assert_error(422, "unknown_product");
    assert_eq!(answer.pointers(), ["/items/1/productId", "/items/2/productId", "/items/3/productId"]);
    let body = json!({"items": [{"productId": "1", "quantity": 1}], "couponCode": "NOSUCHCODE"}).to_string();
    let answer = server.order_text(KEY, body).await;
    answer.assert_error(422, "coupon_unknown");
    assert_eq!(answer.pointers(), ["/couponCode"]);
}

async fn unknown_members_are_ignored(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let body = json!({
        "items": [{"productId": "1", "quantity": 2.0, "note": {"a": [1, {"b": null}]}}],
        "couponCode": null, "table": 7,
    });
    let answer = server.order_text(KEY, body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["items"], json!([{"productId": "1", "quantity": 2}]));
    assert_eq!(answer.json().get("couponCode"), None);
    let escaped = r#"{"\u0069tems":[{"product\u0049d":"\u0031","quantity":1}]}"#;
    assert_eq!(
        server.order_text(KEY, escaped).await.status,
        200,
        "escapes are the characters they stand for"
    );
}

async fn media_types(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let post = |media_type: Option<&str>| {
        let request =
            server.request(Method::POST, "/api/order").header("api_key", KEY).body(cart(&[("1", 1)]));
        match media_type {
            Some(media_type) => request.header("content-type", media_type),
            None => request,
        }
    };
    for media_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
        "application/json; charset=utf8",
        "application/json;charset=\"utf8\"",
        "application/json; charset='UTF-8'",
        "application/json; version=1; charset=UTF8",
    ] {
        assert_eq!(server.send(post(Some(media_type))).await.status, 200, "{media_type}");
    }
    for media_type in [
        "text/plain",
        "application/xml",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ] {
        server.send(post(Some(media_type))).await.assert_error(415, "unsupported_media_type");
    }
    server.send(post(None)).await.assert_error(415, "unsupported_media_type");
    let coded = post(Some("application/json")).header("content-encoding", "gzip");
    server.send(coded).await.assert_error(415, "unsupported_media_type");
}

async fn bodies_have_a_limit(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let padded = |size: usize| {
        let body = cart(&[("1", 1)]);
        let padding = " ".repeat(size - body.len());
        body + &padding
    };
    assert_eq!(server.order_text(KEY, padded(64 * 1024)).await.status, 200);
    server.order_text(KEY, padded(64 * 1024 + 1)).await.assert_error(413, "payload_too_large");
    server.order_text(KEY, padded(1024 * 1024)).await.assert_error(413, "payload_too_large");
}

async fn checks_come_in_order(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let large = " ".repeat(70_000);
    let post = |key: Option<&str>, media_type: &str, body: &str| {
        let request = server.request(Method::POST, "/api/order").header("content-type", media_type);
        let request = if let Some(key) = key { request.header("api_key", key) } else { request };
        request.body(body.to_owned())
    };
    server.send(post(None, "text/plain", &large)).await.assert_error(401, "missing_api_key");
    server.send(post(Some("wrong"), "text/plain", &large)).await.assert_error(403, "invalid_api_key");
    server.send(post(Some(KEY), "text/plain", &large)).await.assert_error(413, "payload_too_large");
    server.send(post(Some(KEY), "text/plain", "{")).await.assert_error(415, "unsupported_media_type");
    server.send(post(Some(KEY), "application/json", "{")).await.assert_error(400, "invalid_json");
    let shape_and_rule = r#"{"items":[{"productId":"99","quantity":1},{"productId":"1","quantity":0}]}"#;
    server
        .send(post(Some(KEY), "application/json", shape_and_rule))
        .await
        .assert_error(400, "validation_failed");
}

async fn a_refused_order_leaves_nothing(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let before = server.database.number("select count(*) from orders").await;
    server.order_text(KEY, cart(&[("1", 1), ("99", 1)])).await.assert_error(422, "unknown_product");
    assert_eq!(server.database.number("select count(*) from orders").await, before);
    let page: Value = server.get_with_key("/api/order", KEY).await.json();
    assert_eq!(page.as_array().unwrap().len(), usize::try_from(before).unwrap());
}

//! `GET /api/product` and `GET /api/product/{productId}`

use serde_json::json;
use test_database::{TestEngine, on_both_engines};

use crate::harness::{TestServer, eventually};

on_both_engines!(
    the_menu_is_the_ten_products,
    filters_narrow_the_menu,
    one_product,
    ids_that_are_none,
    images_are_shown_where_there_are_some,
    a_menu_that_is_known_is_not_sent_again,
    a_menu_is_sent_as_the_client_likes_it,
    a_menu_swap_is_seen_whole,
);

async fn the_menu_is_the_ten_products(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let answer = server.get("/api/product").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    let menu = answer.json();
    assert_eq!(menu.as_array().unwrap().len(), 10);
    assert_eq!(menu[0], json!({"id": "1", "name": "Chicken Waffle", "price": 12.99, "category": "Waffle"}));
    let total: f64 = menu.as_array().unwrap().iter().map(|product| product["price"].as_f64().unwrap()).sum();
    assert!((total - 116.40).abs() < 1e-9, "{total}");
}

async fn filters_narrow_the_menu(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let names = |answer: &crate::harness::Answer| -> Vec<String> {
        answer.json().as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        names(&server.get("/api/product?category=pizza").await),
        ["Margherita Pizza", "Pepperoni Pizza"]
    );
    assert_eq!(names(&server.get("/api/product?q=CHOC").await), ["Chocolate Pancakes"]);
    assert_eq!(names(&server.get("/api/product?category=Salad&q=greek").await), ["Greek Salad"]);
    // However the accents of name, category and query are written.
    server
        .database
        .execute(
            "update products set name = 'Jalapen\u{303}o Burger', category = 'Spe\u{301}cialite\u{301}s' where id = 4; \
             update products set name = 'Crème brûlée' where id = 5; update change_counters set menu = menu + 1",
        )
        .await;
    eventually("the names arrive", async || server.get("/api/product").await.text.contains("brûlée")).await;
    for query in ["q=jalape%C3%B1o", "q=JALAPEN%CC%83O", "category=SP%C3%89CIALIT%C3%89S"] {
        assert_eq!(
            names(&server.get(&format!("/api/product?{query}")).await),
            ["Jalapen\u{303}o Burger"],
            "{query}"
        );
    }
    assert_eq!(names(&server.get("/api/product?q=bru%CC%82le%CC%81e").await), ["Crème brûlée"]);
    assert_eq!(server.get("/api/product?category=Sushi").await.text, "[]");
    assert_eq!(server.get("/api/product?unknown=1").await.json().as_array().unwrap().len(), 10);
    server.get("/api/product?q=1&q=2").await.assert_error(400, "validation_failed");
}

async fn one_product(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let answer = server.get("/api/product/3").await;
    assert_eq!(answer.text, r#"{"id":"3","name":"Blueberry Pancakes","price":9.99,"category":"Pancakes"}"#);
    for id in ["11", "0", "-1", "9223372036854775807", "-9223372036854775808"] {
        server.get(&format!("/api/product/{id}")).await.assert_error(404, "not_found");
    }
}

async fn ids_that_are_none(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for id in
        ["007", "abc", "9223372036854775808", "+7", "1.0", "1e0", "-0", "%20", "1%20", "%00", "%F0%9F%8D%95"]
    {
        server.get(&format!("/api/product/{id}")).await.assert_error(400, "invalid_id");
    }
}

async fn images_are_shown_where_there_are_some(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    server
        .database
        .execute(
            "update products set image_thumbnail = '/t.jpg', image_mobile = '/m.jpg', image_tablet = '/b.jpg', \
             image_desktop = '/d.jpg', price_cents = 1250 where id = 1; update change_counters set menu = menu + 1",
        )
        .await;
    let expected = r#"{"id":"1","name":"Chicken Waffle","price":12.50,"category":"Waffle","image":{"thumbnail":"/t.jpg","mobile":"/m.jpg","tablet":"/b.jpg","desktop":"/d.jpg"}}"#;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while server.get("/api/product/1").await.text != expected {
        assert!(std::time::Instant::now() < deadline, "the change never arrived");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let order = server.order(crate::harness::KEY, &[("1", 1)]).await;
    assert_eq!(order["products"][0]["image"]["tablet"], "/b.jpg");
}

async fn a_menu_that_is_known_is_not_sent_again(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for path in ["/api/product", "/api/product/3", "/api/product?category=pizza"] {
        let first = server.get(path).await;
        let tag = first.header("etag").to_owned();
        assert_eq!((tag.len(), first.header("cache-control")), (34, "no-cache"), "{path}");
        let again =
            server.send(server.request(reqwest::Method::GET, path).header("if-none-match", &tag)).await;
        assert_eq!(
            (again.status.as_u16(), again.text.as_str(), again.header("etag")),
            (304, "", tag.as_str()),
            "{path}"
        );
        let other = server
            .send(server.request(reqwest::Method::GET, path).header("if-none-match", "\"other\""))
            .await;
        assert_eq!(other.status, 200);
    }
}

async fn a_menu_is_sent_as_the_client_likes_it(engine: TestEngine) {
    use std::io::Read;
    let server = TestServer::start(engine).await;
    server
        .database
        .execute(
            "update products set name = name || ' with a long and repetitive, repetitive, repetitive description'; \
             update change_counters set menu = menu + 1",
        )
        .await;
    eventually("the menu is long", async || server.get("/api/product").await.text.len() > 1024).await;
    let plain = server.get("/api/product").await;
    for coding in ["gzip", "br"] {
        let request = server.request(reqwest::Method::GET, "/api/product").header("accept-encoding", coding);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-encoding"], coding);
        assert!(response.headers()["vary"].to_str().unwrap().contains("Accept-Encoding"));
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        assert_ne!(tag, plain.header("etag"), "other bytes, another tag");
        let bytes = response.bytes().await.unwrap();
        let mut text = String::new();
        match coding {
            "gzip" => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap(),
            _ => brotli::Decompressor::new(&bytes[..], 4096).read_to_string(&mut text).unwrap(),
        };
        assert_eq!(text, plain.text);
        assert!(bytes.len() < plain.text.len() / 2);
        let known = server.request(reqwest::Method::GET, "/api/product").header("accept-encoding", coding);
        assert_eq!(server.send(known.header("if-none-match", tag)).await.status, 304);
    }
}

/// Readers see the old menu or the new one, and the tag is always that of the body.
async fn a_menu_swap_is_seen_whole(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let mut tags = std::collections::HashMap::new();
    let first = server.get("/api/product").await;
    tags.insert(first.header("etag").to_owned(), first.text);
    for round in 0..4 {
        server
            .database
            .execute(&format!(
                "update products set category = 'Round {round}'; update change_counters set menu = menu + 1"
            ))
            .await;
        let expected = tags.len() + 1;
        eventually("the new menu", async || {
            let answer = server.get("/api/product").await;
            let menu = answer.json();
            let categories: std::collections::HashSet<_> =
                menu.as_array().unwrap().iter().map(|product| product["category"].to_string()).collect();
            assert!(categories.len() == 1 || round == 0, "a mixture: {categories:?}");
            let body = tags.entry(answer.header("etag").to_owned()).or_insert_with(|| answer.text.clone());
            assert_eq!(*body, answer.text, "one tag for two bodies");
            tags.len() == expected
        })
        .await;
    }
    assert_eq!(tags.len(), 5);
}

//! `GET /api/order`

use std::collections::HashSet;

use test_database::{TestEngine, on_both_engines};

use crate::harness::{ADMIN_KEY, Answer, KEY, OTHER_KEY, TestServer};

on_both_engines!(pages_hold_every_order_once_newest_first, a_client_sees_only_its_own, wrong_pages_are_named,);

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json().as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link");
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(parameters, "; rel=\"next\"");
    Some(target.to_owned())
}

async fn pages_hold_every_order_once_newest_first(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for quantity in 1..=5 {
        server.order(OTHER_KEY, &[("1", quantity)]).await;
    }
    let all = ids(&server.get_with_key("/api/order?limit=100", OTHER_KEY).await);
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by(|newer, older| newer > older), "{all:?}");
    for limit in 1..=6 {
        let (mut seen, mut path) = (Vec::new(), Some(format!("/api/order?limit={limit}")));
        while let Some(page) = path {
            let answer = server.get_with_key(&page, OTHER_KEY).await;
            let page = ids(&answer);
            assert!(page.len() <= limit && !page.is_empty());
            seen.extend(page);
            path = next(&answer);
        }
        assert_eq!(seen, all, "limit {limit}");
    }
}

async fn a_client_sees_only_its_own(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let own = server.order(OTHER_KEY, &[("1", 1)]).await;
    let seen = ids(&server.get_with_key("/api/order", OTHER_KEY).await);
    assert_eq!(seen, [own["id"].as_str().unwrap()]);
    let demo: HashSet<_> = ids(&server.get_with_key("/api/order", KEY).await).into_iter().collect();
    assert_eq!(demo.len(), 3);
    assert_eq!(ids(&server.get_with_key("/api/order", ADMIN_KEY).await).len(), 4);
}

async fn wrong_pages_are_named(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    for limit in ["0", "101", "-1", "x", "1.5", "", "99999999999"] {
        let answer = server.get_with_key(&format!("/api/order?limit={limit}"), KEY).await;
        answer.assert_error(400, "validation_failed");
        assert_eq!(answer.pointers(), ["?limit"], "{limit}");
    }
    for cursor in ["", "x", "01990a4c-5a00"] {
        let answer = server.get_with_key(&format!("/api/order?cursor={cursor}"), KEY).await;
        answer.assert_error(400, "validation_failed");
        assert_eq!(answer.pointers(), ["?cursor"], "{cursor}");
    }
    server.get("/api/order?limit=0").await.assert_error(401, "missing_api_key");
}

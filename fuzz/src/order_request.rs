//! Whatever is sent as an order, the reader refuses it in one of the known ways or finds in it what any other reader of
//! JSON finds.

#![no_main]

use domain::{CouponCode, OrderItem};
use libfuzzer_sys::fuzz_target;
use order_food::handler::order::request::decode;
use order_food::http::reason::Reason;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let plain = serde_json::from_slice::<Value>(body);
    match decode(body) {
        Ok(cart) => {
            let order = plain.expect("what was read is JSON");
            let items = order["items"].as_array().expect("a list");
            assert!((1..=OrderItem::MAX_LINES).contains(&items.len()));
            assert_eq!(items.len(), cart.items.len());
            for (item, sent) in cart.items.iter().zip(items) {
                assert_eq!(sent["productId"], item.product_id.to_string());
                let quantity = sent["quantity"].as_f64().expect("a number");
                assert!((quantity - f64::from(item.quantity.get())).abs() < f64::EPSILON);
                assert!((1..=1000).contains(&item.quantity.get()));
            }
            match cart.coupon_code {
                Some(code) => {
                    assert_eq!(order["couponCode"], code.as_str());
                    assert!((1..=CouponCode::MAX_BYTES).contains(&code.as_str().len()));
                }
                None => assert!(order["couponCode"].is_null()),
            }
        }
        Err(refused) => {
            match refused.reason() {
                Reason::InvalidJson => {}
                // What is wrong with JSON's contents can be told of JSON only.
                Reason::ValidationFailed | Reason::CouponMalformed => assert!(plain.is_ok(), "{refused}"),
                other => panic!("{other:?}: {refused}"),
            }
            let answer = refused.response("0af7651916cd43dd8448eb211c80319c");
            assert!(matches!(answer.status().as_u16(), 400 | 422));
            assert!(refused.to_string().len() < 10_000, "an answer of a bounded length");
        }
    }
});

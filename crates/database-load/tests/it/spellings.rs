//! Names and codes with the same letters in other bytes: `é` is one character or two (Unicode UAX #15).

use database_load::DataSet::{Orders, Products, Promotions, Users};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{PRODUCTS, Shop, counts};

on_both_engines!(
    one_code_twice_is_refused,
    a_promotion_keeps_the_spelling_that_is_stored,
    a_client_is_one_however_it_is_spelled,
    clients_that_are_stored_twice_stay_two,
    orders_find_their_client,
);

/// The same letters, twice.
const PAIRS: [[&str; 2]; 4] = [
    ["CAF\u{c9}", "CAFE\u{301}"],
    ["\u{c5}L10", "\u{212b}L10"],
    ["\u{1ed9}", "o\u{302}\u{323}"],
    ["\u{d55c}", "\u{1112}\u{1161}\u{11ab}"],
];

async fn one_code_twice_is_refused(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for [one, other] in PAIRS {
        for [first, second] in [[one, other], [other, one]] {
            let text = format!("code,kind,value\n{first},fixed,1\nTEN,percentage,10\n{second},fixed,2\n");
            let said = shop.refused(Promotions, text).await;
            assert_eq!(said, "promotions.csv, line 4, column code: stands on line 2 already", "{first}");
        }
    }
    // Other letters are other codes.
    let text = "code,kind,value\nCAFE,fixed,1\nCAF\u{c9},fixed,1\nCaf\u{e9},fixed,1\nCAF\u{c8},fixed,1\n";
    assert_eq!(shop.load_file(Promotions, text).await.1, counts(4, 4, 0, 0, 0, 0));
}

async fn a_promotion_keeps_the_spelling_that_is_stored(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let codes = "select code from promotions where retired_at is null order by code";
    let file =
        |code: &str, value| format!("code,kind,value,max_uses\nTEN,percentage,10,\n{code},fixed,{value},5\n");
    for [one, other] in PAIRS {
        shop.load_file(Promotions, &file(one, 1)).await;
        let stored = shop.database.texts(codes).await;
        assert_eq!(shop.load_file(Promotions, &file(other, 1)).await.1, counts(2, 0, 0, 0, 2, 0), "{one}");
        // Its uses are counted under the stored spelling.
        assert_eq!(shop.load_file(Promotions, &file(other, 2)).await.1, counts(2, 0, 1, 0, 1, 0), "{one}");
        assert_eq!(shop.database.texts(codes).await, stored);
        let gone = "code,kind,value\nTEN,percentage,10\n";
        assert_eq!(shop.load_file(Promotions, gone).await.1, counts(1, 0, 0, 1, 1, 0), "{one}");
        assert_eq!(shop.load_file(Promotions, &file(other, 3)).await.1, counts(2, 1, 0, 0, 1, 0), "{one}");
        assert_eq!(shop.database.texts(codes).await, stored, "back from the retired ones");
        // Made by the API: neither changed nor made a second time.
        shop.database.execute(&format!("update promotions set source = 'api' where code = '{one}'")).await;
        assert_eq!(shop.load_file(Promotions, &file(other, 4)).await.1, counts(2, 0, 0, 0, 1, 1), "{one}");
        shop.database.execute(&format!("delete from promotions where code = '{one}'")).await;
    }
    assert_eq!(shop.database.texts("select code from promotions").await, ["TEN"]);
}

const CLIENTS: &str = "select count(*) from api_clients where retired_at is null";
const GOOD_KEYS: &str = "select count(*) from api_keys where revoked_at is null and retired_at is null";

async fn a_client_is_one_however_it_is_spelled(engine: TestEngine) {
    let mut shop = Shop::new(engine).await;
    shop.options.allow_empty = true;
    let file = |rows: &[(&str, &str)]| {
        let rows = rows.iter().map(|(client, key)| format!("{client},{key},read_orders\n"));
        format!("client,key,scopes\n{}", rows.collect::<String>())
    };
    for [one, other] in PAIRS {
        // Two rows of one file, then other spellings of the stored clients.
        let both = shop.load_file(Users, &file(&[(one, "key-1"), (other, "key-2")])).await;
        assert_eq!((both.1.added, shop.database.number(CLIENTS).await), (2, 1), "{one}");
        let names = shop.database.texts("select name from api_clients where retired_at is null").await;
        assert_eq!(names, [one]);
        let swapped = shop.load_file(Users, &file(&[(other, "key-1"), (other, "key-2")])).await;
        assert_eq!(swapped.1, counts(2, 0, 0, 0, 2, 0), "{one}");
        // Retired, then back.
        assert_eq!(shop.load_file(Users, &file(&[])).await.1, counts(0, 0, 0, 2, 0, 0), "{one}");
        assert_eq!(shop.database.number(CLIENTS).await, 0);
        let back = shop.load_file(Users, &file(&[(other, "key-1"), (one, "key-2")])).await;
        assert_eq!(back.1, counts(2, 2, 0, 0, 0, 0), "{one}");
        assert_eq!(shop.database.texts("select name from api_clients where retired_at is null").await, names);
        shop.database.execute("delete from api_keys; delete from api_clients").await;
        // Made on the command line: left alone.
        let made = format!(
            "insert into api_clients (name, source, created_at, updated_at) values ('{one}', 'command', 0, 0)"
        );
        shop.database.execute(&made).await;
        assert_eq!(
            shop.load_file(Users, &file(&[(other, "key-3")])).await.1,
            counts(1, 0, 0, 0, 0, 1),
            "{one}"
        );
        assert_eq!(shop.database.number("select count(*) from api_clients").await, 1);
        shop.database.execute("delete from api_clients; delete from data_loads").await;
    }
}

/// Earlier releases compared bytes, so both spellings could be stored.
async fn clients_that_are_stored_twice_stay_two(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for [one, other] in PAIRS {
        shop.database.execute("delete from api_keys; delete from api_clients; delete from data_loads").await;
        let file = |first: &str, second: &str| {
            format!("client,key,scopes\n{first},key-1,read_orders\n{second},key-2,read_orders\n")
        };
        shop.load_file(Users, &file(one, "second")).await;
        let renamed = format!("update api_clients set name = '{other}' where name = 'second'");
        shop.database.execute(&renamed).await;
        assert_eq!(shop.load_file(Users, &file(one, other)).await.1, counts(2, 0, 0, 0, 2, 0), "{one}");
        assert_eq!((shop.database.number(CLIENTS).await, shop.database.number(GOOD_KEYS).await), (2, 2));
        // A client that the file no longer names is retired. A row with the other spelling does not bring it back.
        let only = format!("client,key,scopes\n{one},key-1,read_orders\n");
        assert_eq!(shop.load_file(Users, &only).await.1, counts(1, 0, 0, 1, 1, 0), "{one}");
        assert_eq!(shop.load_file(Users, &file(other, one)).await.1.added, 1, "{one}");
        assert_eq!(shop.database.texts("select name from api_clients where retired_at is null").await, [one]);
    }
}

async fn orders_find_their_client(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    shop.write(Products, PRODUCTS);
    for (number, [one, other]) in (1..).zip(PAIRS) {
        shop.write(Users, format!("client,key,scopes\n{one},key-{number},read_orders\n"));
        let id = format!("01990a6e-39e0-7000-8000-00000000000{number}");
        let line = |client: &str, product| format!("{id},{client},2025-09-02T12:37:00Z,{product},1,8.50\n");
        let header = "order_id,client,created_at,product_id,quantity,unit_price\n";
        // The lines of one order name the client in both spellings, for new and for stored clients.
        let text = format!("{header}{}{}", line(other, 1), line(one, 2));
        assert_eq!(shop.load_file(Orders, &text).await.1, counts(1, 1, 0, 0, 0, 0), "{one}");
        let text = format!("{header}{}{}", line(other, 1), line(other, 2));
        assert_eq!(shop.load_file(Orders, &text).await.1, counts(1, 0, 0, 0, 1, 0), "{one}");
        let owner = format!(
            "select count(*) from orders o join api_clients c on c.id = o.client_id where c.name = '{one}'"
        );
        assert_eq!(shop.database.number(&owner).await, 1);
    }
}

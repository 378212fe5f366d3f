//! API clients and keys.

use database_load::{DataSet::Users, Outcome};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{Shop, counts};

on_both_engines!(
    keys_are_stored_as_hashes_and_follow_the_file,
    another_pepper_is_another_set,
    a_hash_made_under_another_pepper_can_be_put_right,
    a_revoked_key_stays_revoked,
    clients_of_the_command_line_are_untouched,
    bad_rows_are_named_without_the_key,
);

const USERS: &str =
    "client,key,key_hash,scopes\nfront,front-key,,create_order read_orders\nback,back-key,,admin\n";
const GOOD_KEYS: &str = "select count(*) from api_keys where revoked_at is null and retired_at is null";

async fn keys_are_stored_as_hashes_and_follow_the_file(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    assert_eq!(shop.load_file(Users, USERS).await, (Outcome::Published, counts(2, 2, 0, 0, 0, 0)));
    let changed =
        USERS.replace("create_order read_orders", "read_orders").replace("back,back-key,,admin\n", "");
    assert_eq!(shop.load_file(Users, &changed).await.1, counts(1, 0, 1, 1, 0, 0));
    assert_eq!(shop.database.number(GOOD_KEYS).await, 1);
    assert_eq!(shop.load_file(Users, USERS).await.1, counts(2, 1, 1, 0, 0, 0));
    assert_eq!(shop.database.number(GOOD_KEYS).await, 2);
    assert_eq!(shop.database.number("select count(*) from api_clients where retired_at is null").await, 2);
    // A hash given in the file is stored as it stands.
    let hash = "ab".repeat(32);
    let with_hash = format!("{USERS}third,,{hash},read_orders\n");
    assert_eq!(shop.load_file(Users, &with_hash).await.1, counts(3, 1, 0, 0, 2, 0));
}

async fn another_pepper_is_another_set(engine: TestEngine) {
    let mut shop = Shop::new(engine).await;
    shop.load_file(Users, USERS).await;
    shop.pepper = "another";
    assert_eq!(shop.load_file(Users, USERS).await, (Outcome::Published, counts(2, 2, 0, 2, 0, 0)));
    assert_eq!(shop.database.number("select count(distinct pepper_fingerprint) from api_keys").await, 2);
    assert_eq!(shop.database.number("select count(*) from api_clients").await, 2);
}

async fn a_hash_made_under_another_pepper_can_be_put_right(engine: TestEngine) {
    let mut shop = Shop::new(engine).await;
    let users = format!("client,key_hash,scopes\nshop,{},admin\n", "ab".repeat(32));
    shop.pepper = "wrong";
    shop.load_file(Users, &users).await;
    shop.pepper = "right";
    assert_eq!(shop.load_file(Users, &users).await, (Outcome::Published, counts(1, 0, 1, 0, 0, 0)));
}

async fn a_revoked_key_stays_revoked(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    shop.load_file(Users, USERS).await;
    shop.database.execute("update api_keys set revoked_at = 1").await;
    shop.load_file(Users, "client,key,key_hash,scopes\n").await;
    shop.load_file(Users, USERS).await;
    assert_eq!(shop.database.number(GOOD_KEYS).await, 0);
}

async fn clients_of_the_command_line_are_untouched(engine: TestEngine) {
    let mut shop = Shop::new(engine).await;
    shop.database
        .execute("insert into api_clients (name, source, created_at, updated_at) values ('front', 'command', 0, 0)")
        .await;
    assert_eq!(shop.load_file(Users, USERS).await.1, counts(2, 1, 0, 0, 0, 1));
    assert_eq!(shop.database.number(GOOD_KEYS).await, 1);
    shop.options.allow_empty = true;
    shop.load_file(Users, "client,key,key_hash,scopes\n").await;
    let untouched =
        "select count(*) from api_clients where name = 'front' and retired_at is null and updated_at = 0";
    assert_eq!(shop.database.number(untouched).await, 1);
}

async fn bad_rows_are_named_without_the_key(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for (row, fault) in [
        ("front,other,,everything", "column scopes: names an unknown scope; scopes are create_order"),
        ("front,,,admin", "column key: is empty, and so is key_hash"),
        ("front,secret-key,00,admin", "column key_hash: is given together with key"),
        ("front,,00zz,admin", "column key_hash: must be 64 hexadecimal digits"),
        ("front,secret key,,admin", "column key: must be at most 255 visible ASCII"),
        (",secret-key,,admin", "column client: is empty"),
        ("front,back-key,,admin", "column key: is the key of line 3 already"),
    ] {
        let said = shop.refused(Users, format!("{USERS}{row}\n")).await;
        assert!(said.starts_with(&format!("users.csv, line 4, {fault}")), "{row}: {said}");
        assert!(!said.contains("secret") && !said.contains("back-key"), "{said}");
    }
}

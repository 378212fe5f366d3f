//! The menu.

use database_load::{DataSet::Products, LoadError, Outcome, Source};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{PRODUCTS, Shop, counts};

on_both_engines!(
    a_second_run_does_nothing,
    a_then_b_then_a_publishes_three_times,
    rows_not_made_by_a_load_are_untouched,
    a_bad_row_leaves_the_database_as_it_was,
    a_dry_run_keeps_nothing,
    force_publishes_again,
    the_compiled_in_menu_is_the_ten_products,
    a_database_without_tables_is_named,
    images_come_whole_or_not_at_all,
);

const MENU_CHANGES: &str = "select menu from change_counters";

async fn a_second_run_does_nothing(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    assert_eq!(shop.load_file(Products, PRODUCTS).await, (Outcome::Published, counts(2, 2, 0, 0, 0, 0)));
    assert_eq!(shop.load_file(Products, PRODUCTS).await, (Outcome::Unchanged, counts(0, 0, 0, 0, 0, 0)));
    assert_eq!(shop.database.number(MENU_CHANGES).await, 1);
    assert_eq!(shop.database.number("select count(*) from data_loads").await, 1);
}

async fn a_then_b_then_a_publishes_three_times(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let other = "id,name,price,category\n1,Waffle,13.49,Waffle\n3,Soup,5,Soup\n";
    shop.load_file(Products, PRODUCTS).await;
    assert_eq!(shop.load_file(Products, other).await, (Outcome::Published, counts(2, 1, 1, 1, 0, 0)));
    assert_eq!(
        shop.database.texts("select name from products where retired_at is not null").await,
        ["Salad"]
    );
    assert_eq!(shop.load_file(Products, PRODUCTS).await, (Outcome::Published, counts(2, 1, 1, 1, 0, 0)));
    assert_eq!(shop.database.number("select max(generation) from data_loads").await, 3);
    assert_eq!(shop.database.number(MENU_CHANGES).await, 3);
    let sold = "select sum(price_cents) from products where retired_at is null";
    assert_eq!(shop.database.number(&format!("select cast(({sold}) as bigint)")).await, 1299 + 850);
}

async fn rows_not_made_by_a_load_are_untouched(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    shop.database
        .execute(
            "insert into products (id, name, category, price_cents, source, created_at, updated_at, retired_at) values \
             (1, 'House waffle', 'Waffle', 100, 'api', 0, 0, null), (7, 'Special', 'Soup', 200, 'command', 0, 0, 5)",
        )
        .await;
    assert_eq!(shop.load_file(Products, PRODUCTS).await, (Outcome::Published, counts(2, 1, 0, 0, 0, 1)));
    assert_eq!(
        shop.load_file(Products, "id,name,price,category\n7,Revived,1,Soup\n").await.1,
        counts(1, 0, 0, 1, 0, 1)
    );
    let kept = "select count(*) from products where (id = 1 and name = 'House waffle' and retired_at is null) \
                or (id = 7 and name = 'Special' and retired_at = 5 and updated_at = 0)";
    assert_eq!(shop.database.number(kept).await, 2);
}

async fn a_bad_row_leaves_the_database_as_it_was(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    shop.load_file(Products, PRODUCTS).await;
    for (row, fault) in [
        ("x,Tea,1,Drinks", "line 4, column id: is not a whole number such as 5; write digits only"),
        ("0,Tea,1,Drinks", "line 4, column id: must be positive"),
        ("-4,Tea,1,Drinks", "line 4, column id: must be positive"),
        ("04,Tea,1,Drinks", "line 4, column id: is not a whole number such as 5; write it without a sign"),
        ("2,Tea,1,Drinks", "line 4, column id: stands on line 3 already"),
        ("4,,1,Drinks", "line 4, column name: is empty"),
        ("4,Te\u{7}a,1,Drinks", "line 4, column name: contains a control character"),
        ("4,Tea,1.999,Drinks", "line 4, column price: is not an amount"),
        ("4,Tea,-1,Drinks", "line 4, column price: is not an amount"),
        ("4,Tea,10000000,Drinks", "line 4, column price: is above the highest price, 9999999.99"),
        ("4,Tea,1,", "line 4, column category: is empty"),
        ("4,Tea,1", "line 4: has 3 fields, the header has 4"),
    ] {
        let said = shop.refused(Products, format!("{PRODUCTS}{row}\n")).await;
        assert!(said.starts_with(&format!("products.csv, {fault}")), "{row}: {said}");
    }
    assert_eq!(shop.database.number("select count(*) from products where retired_at is null").await, 2);
    assert_eq!(shop.database.number(MENU_CHANGES).await, 1);
}

async fn a_dry_run_keeps_nothing(engine: TestEngine) {
    let mut shop = Shop::new(engine).await;
    shop.options.dry_run = true;
    assert_eq!(shop.load_file(Products, PRODUCTS).await, (Outcome::DryRun, counts(2, 2, 0, 0, 0, 0)));
    assert_eq!(shop.database.number("select count(*) from products").await, 0);
    assert_eq!(shop.database.number("select count(*) from data_loads").await, 0);
}

async fn force_publishes_again(engine: TestEngine) {
    let mut shop = Shop::new(engine).await;
    shop.load_file(Products, PRODUCTS).await;
    shop.options.force = true;
    assert_eq!(shop.load_file(Products, PRODUCTS).await, (Outcome::Published, counts(2, 0, 0, 0, 2, 0)));
    assert_eq!(shop.database.number(MENU_CHANGES).await, 2);
}

async fn the_compiled_in_menu_is_the_ten_products(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    shop.load_from(&Source::CompiledIn { with_demo_data: false }).await.unwrap();
    let menu = "select name || '|' || category || '|' || cast(price_cents as text) from products order by id";
    assert_eq!(
        shop.database.texts(menu).await,
        [
            "Chicken Waffle|Waffle|1299",
            "Belgian Waffle|Waffle|1099",
            "Blueberry Pancakes|Pancakes|999",
            "Chocolate Pancakes|Pancakes|1199",
            "Caesar Salad|Salad|899",
            "Greek Salad|Salad|949",
            "Margherita Pizza|Pizza|1399",
            "Pepperoni Pizza|Pizza|1599",
            "Cheeseburger|Burger|1149",
            "Veggie Burger|Burger|1049",
        ]
    );
    assert_eq!(shop.database.number("select count(*) from api_clients").await, 0, "users are demo data");
    assert_eq!(shop.database.number("select count(*) from promotions").await, 3);
    shop.load_from(&Source::CompiledIn { with_demo_data: true }).await.unwrap();
    assert_eq!(shop.database.number("select count(*) from orders").await, 3);
}

async fn a_database_without_tables_is_named(engine: TestEngine) {
    let shop = Shop {
        database: test_database::TestDatabase::empty(engine).await,
        ..Shop::new(TestEngine::Sqlite).await
    };
    shop.write(Products, PRODUCTS);
    let error = shop.load().await.unwrap_err();
    assert!(matches!(error, LoadError::NotMigrated(_)), "{error:?}");
}

async fn images_come_whole_or_not_at_all(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let header = "id,name,price,category,image_thumbnail,image_mobile,image_tablet,image_desktop\n";
    let said = shop.refused(Products, format!("{header}1,Tea,1,Drinks,/t.jpg,,/b.jpg,/d.jpg\n")).await;
    assert!(said.contains("column image_mobile: is empty while another size is given"), "{said}");
    let whole = format!("{header}1,Tea,1,Drinks,/t.jpg,/m.jpg,/b.jpg,/d.jpg\n");
    assert_eq!(shop.load_file(Products, &whole).await.1, counts(1, 1, 0, 0, 0, 0));
    assert_eq!(
        shop.load_file(Products, &whole.replace("/d.jpg", "/e.jpg")).await.1,
        counts(1, 0, 1, 0, 0, 0)
    );
}

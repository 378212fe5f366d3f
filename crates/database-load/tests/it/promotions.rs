//! Promotions.

use database_load::{DataSet::Promotions, Outcome};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{Shop, counts};

on_both_engines!(definitions_follow_the_file_and_counts_stay, bad_rows_are_named);

const HEADER: &str = "code,kind,value,min_items,min_subtotal,max_discount,starts_at,ends_at,max_uses,max_uses_per_client,active\n";

async fn definitions_follow_the_file_and_counts_stay(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let rows = "TEN,percentage,10,,,,,,100,1,\nHALF,percentage,12.5,,20,5,2026-01-01T00:00:00Z,2027-01-01T00:00:00Z,,,false\nTWO,fixed,2,,,,,,,,true\nFREE,free_lowest,,2,,,,,,,\n";
    assert_eq!(
        shop.load_file(Promotions, &format!("{HEADER}{rows}")).await,
        (Outcome::Published, counts(4, 4, 0, 0, 0, 0))
    );
    let stored = "select code || ' ' || kind || ' ' || cast(value as text) || ' ' || cast(coalesce(max_uses, -1) as text) \
                  from promotions order by code";
    assert_eq!(
        shop.database.texts(stored).await,
        ["FREE free_lowest 0 -1", "HALF percentage 1250 -1", "TEN percentage 1000 100", "TWO fixed 200 -1"]
    );
    shop.database.execute("insert into limit_counters (name, used) values ('promotion:TEN', 42)").await;
    let fewer = rows.replace(",100,1,", ",50,1,").replace("TWO,fixed,2,,,,,,,,true\n", "");
    assert_eq!(shop.load_file(Promotions, &format!("{HEADER}{fewer}")).await.1, counts(3, 0, 1, 1, 2, 0));
    assert_eq!(shop.load_file(Promotions, &format!("{HEADER}{rows}")).await.1, counts(4, 1, 1, 0, 2, 0));
    assert_eq!(shop.database.number("select used from limit_counters").await, 42);
    assert_eq!(shop.database.number("select promotions from change_counters").await, 3);
}

async fn bad_rows_are_named(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for (row, fault) in [
        (",percentage,10,,,,,,,,", "column code: is empty"),
        (
            "A,half,10,,,,,,,,",
            "column kind: is not a kind of promotion; write percentage, fixed or free_lowest",
        ),
        ("A,percentage,100.01,,,,,,,,", "column value: is above 100 percent"),
        ("A,percentage,,,,,,,,,", "column value: is empty"),
        ("A,free_lowest,1,,,,,,,,", "column value: must be empty for free_lowest"),
        ("A,fixed,1,-1,,,,,,,", "column min_items: is not a whole number such as 5"),
        ("A,fixed,1,,,,yesterday,,,,", "column starts_at: is not a time such as"),
        (
            "A,fixed,1,,,,2027-01-01T00:00:00Z,2026-01-01T00:00:00Z,,,",
            "column ends_at: is not after starts_at",
        ),
        ("A,fixed,1,,,,,,,,maybe", "column active: is neither true nor false"),
    ] {
        let said = shop.refused(Promotions, format!("{HEADER}{row}\n")).await;
        assert!(said.starts_with(&format!("promotions.csv, line 2, {fault}")), "{row}: {said}");
    }
    let said = shop.refused(Promotions, format!("{HEADER}A,fixed,1,,,,,,,,\nA,fixed,2,,,,,,,,\n")).await;
    assert_eq!(said, "promotions.csv, line 3, column code: stands on line 2 already");
}

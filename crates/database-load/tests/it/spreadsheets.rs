//! What spreadsheets write where people and programs would write something else: read as long as it has one meaning.

use database_load::DataSet::{self, Orders, Products, Promotions, Users};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{PRODUCTS, Shop, counts};

on_both_engines!(
    words_and_numbers_are_read_as_cells_show_them,
    what_has_two_meanings_is_refused_with_what_to_write,
);

/// Loads the file, and then the same thing as a person would write it: nothing is left to be changed.
async fn is_read_as(shop: &Shop, data_set: DataSet, text: &str, plain: &str) {
    let rows = plain.trim_end().lines().count() as u64 - 1;
    let (_, loaded) = shop.load_file(data_set, text).await;
    assert_eq!(loaded.read, rows, "{text}");
    let (_, again) = shop.load_file(data_set, plain).await;
    assert_eq!(again, counts(rows, 0, 0, 0, rows, 0), "{text}");
}

async fn words_and_numbers_are_read_as_cells_show_them(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let header = "code,kind,value,min_items,max_uses,active\n";
    for (row, plain) in [
        ("A,percentage,10,,,TRUE", "A,percentage,10,,,true"),
        ("A,percentage,10,,,False", "A,percentage,10,,,false"),
        ("A,percentage,10,,,fALSE", "A,percentage,10,,,false"),
        ("A,Percentage,18%,2.00,100.0,True", "A,percentage,18,2,100,true"),
        ("A,PERCENTAGE,\"12.50 %\",2.0,1000.00,FALSE", "A,percentage,12.5,2,1000,false"),
        ("A, Fixed ,2.50,0.0,,TRUE", "A,fixed,2.5,0,,true"),
        ("A,Free Lowest,,,,TRUE", "A,free_lowest,,,,true"),
        ("A,FREE-LOWEST,,3.00,,", "A,free_lowest,,3,,"),
    ] {
        is_read_as(&shop, Promotions, &format!("{header}{row}\n"), &format!("{header}{plain}\n")).await;
    }
    for (row, plain) in [
        ("1.00,Tea,2.0,Drinks", "1,Tea,2,Drinks"),
        ("1.0,Tea,\u{a0}2.5 ,Drinks", "1,Tea,2.50,Drinks"),
        ("27.00,Tea,2,Drinks", "27,Tea,2.00,Drinks"),
    ] {
        let header = "id,name,price,category\n";
        is_read_as(&shop, Products, &format!("{header}{row}\n"), &format!("{header}{plain}\n")).await;
    }
    for (scopes, plain) in [
        ("Admin", "admin"),
        ("CREATE_ORDER Read_Orders", "create_order read_orders"),
        ("\"create_order, read_orders\"", "create_order read_orders"),
        ("read_orders;manage_menu", "read_orders manage_menu"),
        ("\"create-order\nread-orders\"", "create_order read_orders"),
    ] {
        let text = |scopes| format!("client,key,scopes\nfront,front-key,{scopes}\n");
        is_read_as(&shop, Users, &text(scopes), &text(plain)).await;
    }
    shop.load_file(Products, PRODUCTS).await;
    let order = |line: &str| {
        format!(
            "order_id,client,created_at,product_id,quantity,unit_price\n\
             01990a6e-39e0-7000-8000-000000000002,front,2025-09-02T12:37:00Z,{line}\n"
        )
    };
    is_read_as(&shop, Orders, &order("2.00,3.0,8.5"), &order("2,3,8.50")).await;
    let line = "select cast(product_id as text) || ' ' || cast(quantity as text) from order_lines";
    assert_eq!(shop.database.texts(line).await, ["2 3"]);
}

async fn what_has_two_meanings_is_refused_with_what_to_write(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let amount = "is not an amount such as 12.99; write digits with a point before the decimals, of which there are at most two: \
                  5.00, not 5,00 or $5";
    for price in
        ["\"5,00\"", "1.000", "\"1,000.00\"", "\"1.000,00\"", "$5.00", "5 €", "1E+03", "(5.00)", "5.", "18%"]
    {
        let said = shop.refused(Products, format!("id,name,price,category\n1,Tea,{price},x\n")).await;
        assert_eq!(said, format!("products.csv, line 2, column price: {amount}"), "{price}");
    }
    shop.write(Products, PRODUCTS);
    let whole = "is not a whole number such as 5; write digits only";
    let truth = "is neither true nor false; write one of these two words";
    let kind = "is not a kind of promotion; write percentage, fixed or free_lowest";
    for (row, column, fault) in [
        ("A,fixed,1,1.000,,", "min_items", whole),
        ("A,fixed,1,\"1,00\",,", "min_items", whole),
        ("A,fixed,1,1 000,,", "min_items", whole),
        ("A,fixed,1,,1E+05,", "max_uses", whole),
        ("A,fixed,1,,2.50,", "max_uses", whole),
        ("A,fixed,1,,,1", "active", truth),
        ("A,fixed,1,,,WAHR", "active", truth),
        ("A,fixed,1,,,VRAI", "active", truth),
        ("A,fixed,1,,,yes", "active", truth),
        ("A,fixed,5%,,,", "value", amount),
        ("A,percent,5,,,", "kind", kind),
        ("A,freelowest,,,,", "kind", kind),
        ("A,Prozent,5,,,", "kind", kind),
    ] {
        let text = format!("code,kind,value,min_items,max_uses,active\n{row}\n");
        let said = shop.refused(Promotions, text).await;
        assert_eq!(said, format!("promotions.csv, line 2, column {column}: {fault}"), "{row}");
    }
}

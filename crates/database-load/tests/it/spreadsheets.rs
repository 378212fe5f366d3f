//! Texts that spreadsheets write in their own way. They are accepted as long as they have one meaning.

use database_load::DataSet::{self, Orders, Products, Promotions, Users};
use test_database::{TestEngine, on_both_engines};

use crate::harness::{PRODUCTS, Shop, counts};

on_both_engines!(
    words_and_numbers_are_read_as_cells_show_them,
    what_has_two_meanings_is_refused_with_what_to_write,
    padding_that_holds_nothing_is_passed_over,
    values_without_a_column_are_refused,
    other_separators_are_read,
    decimal_commas_stay_refused,
);

/// Loads the file, then the same rows as a person would write them. The second load must change nothing.
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

const MENU: &str = "id,name,price,category\n1,Tea,2.50,Drinks\n2,Soup,5,Soups\n";
const KEYS: &str = "client,scopes,key,key_hash\nfront,admin,front-key,\nback,,back-key,\n";
const OFFERS: &str =
    "code,kind,value,min_items,max_uses,active\nTEN,percentage,10,,,\nTWO,fixed,2.50,3,100,false\n";

async fn padding_that_holds_nothing_is_passed_over(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for text in [
        "id,name,price,category,,\n1,Tea,2.50,Drinks,,\n,,,,,\n2,Soup,5,Soups,,\n",
        "ID, Name ,PRICE,Category\n1,Tea,2.50,Drinks\n,,,\n2,Soup,5,Soups\n,,,\n,,,\n",
        "\u{feff},,,\r\nid,name,price,category\r\n   \r\n1,Tea,2.50,Drinks\r\n\t\r\n2,Soup,5,Soups\r\n",
        "id,name,price,category,image_thumbnail,image_mobile,image_tablet,image_desktop\n1,Tea,2.50,Drinks\n2,Soup,5,Soups,,\n",
        ",id,name,,price,category\n,1,Tea,,2.50,Drinks\n,2,Soup,,5,Soups\n",
        "id,name,price,category\n1,Tea,2.50,Drinks,,\n2,Soup,5,Soups,\n,,,,,,,,\n",
    ] {
        is_read_as(&shop, Products, text, MENU).await;
    }
    for text in [
        "client,scopes,key,key_hash\nfront,admin,front-key\nback,,back-key\n",
        "Client,Scopes,Key,Key_Hash,,,\nfront,admin,front-key,,,,\n,,,,,,\nback,,back-key,,,,\n",
        "client,scopes,key\n\nfront,admin,front-key\n \nback,,back-key\n,,",
    ] {
        is_read_as(&shop, Users, text, KEYS).await;
    }
    for text in [
        "code,kind,value,min_items,max_uses,active\nTEN,percentage,10\nTWO,fixed,2.50,3,100,false\n",
        "code,kind,value,min_items,max_uses,active,,\nTEN,percentage,10,,\n,,,,,,,\nTWO,fixed,2.50,3,100,FALSE,,\n",
        "code,kind,value,min_items,max_uses,active\nTEN,percentage,10,,,\n\"\",\"\"\nTWO,fixed,2.50,3,100,false,\n",
    ] {
        is_read_as(&shop, Promotions, text, OFFERS).await;
    }
}

async fn values_without_a_column_are_refused(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let no_name = "has a value, but no name in the header; add the name, or remove the value";
    let too_many = "write a value with a comma in it between quotes, and no comma after the last one";
    for (text, fault) in [
        ("id,name,price,category,,\n1,Tea,2.50,Drinks,,x\n", format!("line 2, column 6: {no_name}")),
        ("id,name,price,category,\n1,Tea,5,00,Drinks\n", format!("line 2, column 5: {no_name}")),
        ("id,,name,price,category\n\n1,,Tea,2,x\n2,0,Tea,2,x\n", format!("line 4, column 2: {no_name}")),
        (
            "id,name,price,category\n1,Tea,5,00,x\n",
            format!("line 2: has 5 fields, the header has 4; {too_many}"),
        ),
        (
            "id,name,price,category\n1,Tea,2.50,,\n",
            format!("line 2: has 5 fields, the header has 4; {too_many}"),
        ),
        (
            "id,name,price,category\n1,Tea,2.50\n",
            "line 2: has 3 fields, the header has 4; add what is missing, from category on".to_owned(),
        ),
        (
            "id;name;price;category\n1,Tea,2.50,Drinks\n",
            "line 2: has 1 field, the header has 4; add what is missing, from name on".to_owned(),
        ),
    ] {
        assert_eq!(shop.refused(Products, text).await, format!("products.csv, {fault}"), "{text}");
    }
    shop.write(Products, PRODUCTS);
    // A key in a column without a name is not shown.
    for (text, fault) in [
        ("client,scopes,,key\nfront,admin,secret-key,\n", format!("line 2, column 3: {no_name}")),
        ("client,scopes,key,\nfront,admin,,secret-key\n", format!("line 2, column 4: {no_name}")),
        (
            "client,scopes,key\nfront,admin,k,secret-key\n",
            format!("line 2: has 4 fields, the header has 3; {too_many}"),
        ),
        (
            "key,client,scopes\nsecret-key,front\n",
            "line 2: has 2 fields, the header has 3; add what is missing, from scopes on".to_owned(),
        ),
    ] {
        assert_eq!(shop.refused(Users, text).await, format!("users.csv, {fault}"), "{text}");
    }
    shop.write(Users, "client,key,scopes\n");
    // The comma of an amount has pushed the rest along.
    let row = "A,fixed,1,50,,,";
    let said = shop.refused(Promotions, format!("code,kind,value,min_items,max_uses,active\n{row}\n")).await;
    assert_eq!(said, format!("promotions.csv, line 2: has 7 fields, the header has 6; {too_many}"));
}

async fn other_separators_are_read(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for separator in [";", "\t", "|"] {
        for (data_set, plain) in [(Products, MENU), (Users, KEYS), (Promotions, OFFERS)] {
            is_read_as(&shop, data_set, &plain.replace(',', separator), plain).await;
            // With the line ends of other systems, and padded.
            let text = plain.replace(',', separator).replace('\n', &format!("{separator}{separator}\r\n"));
            is_read_as(&shop, data_set, &format!("\u{feff}{}", text.replace("code", "CODE")), plain).await;
        }
        let text = "id,name,price,category\n1,\"Tea, hot\",2.50,\"Drinks;|\"\n2,Soup,5,Soups\n";
        let quoted = text.replace("\"Tea, hot\"", "Tea~ hot").replace(',', separator).replace('~', ",");
        is_read_as(&shop, Products, &quoted, text).await;
    }
    shop.load_file(Products, PRODUCTS).await;
    let order = "order_id,client,created_at,product_id,quantity,unit_price\n\
                 01990a6e-39e0-7000-8000-000000000002,front,2025-09-02T12:37:00Z,2,3,8.50\n";
    is_read_as(&shop, Orders, &order.replace(',', ";"), order).await;
    for (text, separators) in [
        ("id;name;prise;category\n1;Tea;2.50;Drinks\n", "semicolons"),
        ("id\tname\tcategory\n1\tTea\tDrinks\n", "tabs"),
        ("id|name|cost|category\n1|Tea|2.50|Drinks\n", "vertical bars"),
    ] {
        let said = shop.refused(Products, text).await;
        let columns = "id,name,price,category,image_thumbnail,image_mobile,image_tablet,image_desktop";
        let fault = format!(
            "the column is missing; columns are {columns} (the file has {separators} between its columns)"
        );
        assert_eq!(said, format!("products.csv, line 1, column price: {fault}"), "{text}");
    }
}

async fn decimal_commas_stay_refused(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    for separator in [";", "\t", "|"] {
        for price in ["5,00", "2,5", "1.000,00", "1,000"] {
            let text = format!("id~name~price~category\n1~Tea~{price}~Drinks\n").replace('~', separator);
            let said = shop.refused(Products, text).await;
            assert!(
                said.starts_with("products.csv, line 2, column price: is not an amount such as 12.99"),
                "{said}"
            );
            assert!(said.ends_with("5.00, not 5,00 or $5"), "{said}");
        }
        shop.write(Products, PRODUCTS);
        for (row, column) in [
            ("A~percentage~12,5~~~", "value"),
            ("A~fixed~2,50~~~", "value"),
            ("A~fixed~2~1,00~~", "min_items"),
            ("A~fixed~2~~1,000~", "max_uses"),
        ] {
            let text = format!("code~kind~value~min_items~max_uses~active\n{row}\n").replace('~', separator);
            let said = shop.refused(Promotions, text).await;
            let place = format!("promotions.csv, line 2, column {column}: is not a");
            assert!(said.starts_with(&place), "{row}: {said}");
        }
        shop.write(Promotions, OFFERS);
    }
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

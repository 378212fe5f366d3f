//! CSV files that a lenient reader would take for something else than their author meant.

use database_load::DataSet::{self, Orders, Products, Promotions, Users};
use test_database::{TestEngine, on_both_engines};

use crate::coupon_harness::gzip;
use crate::harness::{PRODUCTS, Shop, counts};

on_both_engines!(
    quotes_that_are_not_csv_are_refused,
    files_that_are_no_text_are_refused,
    quotes_with_one_meaning_are_read,
    values_that_could_mean_something_else_are_refused,
);

/// A file of each kind around one field: the text before the field, its column, and the text after it.
const FILES: [(DataSet, &str, &str, &str); 4] = [
    (Products, "id,name,price,category\n1,Tea,2.00,Drinks\n6,", "name", ",5.00,x"),
    (Users, "key,client,scopes\nfirst-key,front,admin\nsecret-key,", "client", ",admin"),
    (Promotions, "kind,code,value\nfixed,ONE,1\nfixed,", "code", ",2"),
    (
        Orders,
        "order_id,client,created_at,product_id,quantity,unit_price\n\
         01990a4c-5a00-7000-8000-000000000001,demo,2025-09-02T12:00:00Z,1,2,12.99\n\
         01990a6e-39e0-7000-8000-000000000002,",
        "client",
        ",2025-09-02T12:37:00Z,2,1,8.50",
    ),
];

/// A shop into which every kind of file was loaded.
async fn shop(engine: TestEngine) -> Shop {
    let shop = Shop::new(engine).await;
    shop.write(Products, PRODUCTS);
    shop.write(Users, "client,key,scopes\ndemo,key,read_orders\n");
    shop.write(Promotions, "code,kind,value\nTEN,percentage,10\n");
    let (_, start, _, end) = FILES[3];
    shop.write(Orders, format!("{start}demo{end}\n"));
    shop.load().await.unwrap();
    shop
}

async fn quotes_that_are_not_csv_are_refused(engine: TestEngine) {
    let shop = shop(engine).await;
    let after = "has text after the quote that closes it; write a quote within a quoted field twice: \"\"";
    let before = "has blanks before the quote that opens it; remove them";
    let open = "has no quote that closes it, up to the end of the file; add it";
    let nul = "has a NUL byte, which no text has; save the file as CSV UTF-8";
    for (data_set, start, column, end) in FILES {
        for (field, fault) in [
            (r#""12\" Sub""#, after),
            (r#""A"B"#, after),
            (r#""A" B"#, after),
            (r#"""A"""#, after),
            (r#" "A""#, before),
            ("\t\"A, B\"", before),
            (r#""A"#, open),
            (r#""A"""#, open),
            ("A\0", nul),
            ("\"A\0B\"", nul),
        ] {
            for line_end in ["\n", "\r\n", ""] {
                let mut text = format!("{start}{field}{end}{line_end}");
                if line_end == "\r\n" {
                    text = text.replace("\r\n", "\n").replace('\n', "\r\n");
                }
                let said = shop.refused(data_set, text).await;
                let file = data_set.file_name();
                assert_eq!(said, format!("{file}, line 3, column {column}: {fault}"), "{field}");
            }
        }
        // The file is restored, so that its fault is not in the way of the next one.
        let good = match data_set {
            Products => PRODUCTS.to_owned(),
            Users => "client,key,scopes\ndemo,key,read_orders\n".to_owned(),
            Promotions => "code,kind,value\nTEN,percentage,10\n".to_owned(),
            _ => continue,
        };
        shop.write(data_set, good);
    }
}

async fn files_that_are_no_text_are_refused(engine: TestEngine) {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let utf16_be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    let spreadsheet =
        "a zip archive, or a spreadsheet such as .xlsx; unpack it, or save the spreadsheet as CSV UTF-8";
    for (data_set, start, column, end) in FILES {
        let shop = Shop::new(engine).await;
        let text = format!("{start}demo{end}\n");
        for (content, what) in [
            (utf16(&format!("\u{feff}{text}")), "UTF-16; save it as UTF-8"),
            (utf16_be(&format!("\u{feff}{text}")), "UTF-16; save it as UTF-8"),
            (utf16(&text), "UTF-16; save it as UTF-8"),
            (gzip(text.as_bytes()), "gzip; unpack it first"),
            (b"PK\x03\x04\x14\0\x06\0xl/workbook.xml".to_vec(), spreadsheet),
            (
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0".to_vec(),
                "a spreadsheet of old Excel; save it as CSV UTF-8",
            ),
        ] {
            let said = shop.refused(data_set, content).await;
            assert_eq!(said, format!("{}, line 1: is {what}", data_set.file_name()));
        }
        let latin_1 = [start.as_bytes(), b"caf\xe9", end.as_bytes()].concat();
        let said = shop.refused(data_set, latin_1).await;
        let place = format!("{}, line 3, column {column}", data_set.file_name());
        assert!(said.contains(&format!("{place}: is not UTF-8; save the file as CSV UTF-8")), "{said}");
    }
}

async fn quotes_with_one_meaning_are_read(engine: TestEngine) {
    let shop = Shop::new(engine).await;
    let rows = [
        r#"1,12" Sub,1,x"#,
        r#"2,"12"" Sub",1,x"#,
        r#"3,"Tea, hot" ,1,x"#,
        r#"4, Bob's "best" ,1,x"#,
        r#"5,"""Best"" pie",1,x"#,
        r#"6,12\" Sub,1,x"#,
        r#"7,'A',"1.00","x""#,
    ];
    let text = format!("id,name,price,category\r\n{}", rows.join("\r\n"));
    assert_eq!(shop.load_file(Products, &text).await.1, counts(7, 7, 0, 0, 0, 0));
    assert_eq!(
        shop.database.texts("select name from products order by id").await,
        ["12\" Sub", "12\" Sub", "Tea, hot", "Bob's \"best\"", "\"Best\" pie", "12\\\" Sub", "'A'"]
    );
}

async fn values_that_could_mean_something_else_are_refused(engine: TestEngine) {
    let shop = shop(engine).await;
    for price in
        ["\"5,00\"", "1e3", "+5", "5.", ".5", "1.000", "\"1,000.00\"", "5 00", "$5", "5%", "-1", "٥", "NaN"]
    {
        let said = shop.refused(Products, format!("id,name,price,category\n1,Tea,{price},x\n")).await;
        assert!(
            said.starts_with("products.csv, line 2, column price: is not an amount such as 12.99"),
            "{price}: {said}"
        );
    }
    let said = shop.refused(Products, "id,name,price,category\n1,Tea,5,00,x\n").await;
    assert!(
        said.starts_with("products.csv, line 2: has 5 fields, the header has 4; write a value"),
        "{said}"
    );
    shop.write(Products, PRODUCTS);
    let header = "code,kind,value,min_items,starts_at,max_uses,active\n";
    for (row, fault) in [
        ("A,fixed,1,2.5,,,", "column min_items: is not a whole number such as 5"),
        ("A,fixed,1,1e3,,,", "column min_items: is not a whole number such as 5"),
        ("A,fixed,1,5.,,,", "column min_items: is not a whole number such as 5"),
        ("A,fixed,1,,,\"1,000\",", "column max_uses: is not a whole number such as 5"),
        ("A,fixed,1,,,4294967296,", "column max_uses: is too large a number"),
        ("A,fixed,1,,2026-02-30T00:00:00Z,,", "column starts_at: is not a time such as"),
        ("A,fixed,1,,2026-02-29T00:00:00Z,,", "column starts_at: is not a time such as"),
        ("A,fixed,1,,2026-11-21,,", "column starts_at: is not a time such as"),
        ("A,fixed,1,,21.11.2026 04:00,,", "column starts_at: is not a time such as"),
        ("A,fixed,1,,2026-11-21T04:00:00,,", "column starts_at: is not a time such as"),
        ("A,fixed,1,,,,WAHR", "column active: is neither true nor false; write one of these two words"),
        ("A,fixed,1,,,,1", "column active: is neither true nor false"),
        ("A,fixed,1,,,,yes", "column active: is neither true nor false"),
        ("A,fixed,18%,,,,", "column value: is not an amount such as 12.99"),
        ("A,percentage,\"12,5\",,,,", "column value: is not an amount such as 12.99"),
        (
            "A,half price,1,,,,",
            "column kind: is not a kind of promotion; write percentage, fixed or free_lowest",
        ),
    ] {
        let said = shop.refused(Promotions, format!("{header}{row}\n")).await;
        assert!(said.starts_with(&format!("promotions.csv, line 2, {fault}")), "{row}: {said}");
    }
    shop.write(Promotions, "code,kind,value\nTEN,percentage,10\n");
    // A key that got into the wrong column is not shown.
    for scopes in ["secret-key", "\"create_order,secret-key\"", "Create order", "admin|read_orders"] {
        let said = shop.refused(Users, format!("client,key,scopes\nfront,k,{scopes}\n")).await;
        let fault = "users.csv, line 2, column scopes: names an unknown scope; scopes are create_order, read_orders, \
                     manage_menu and admin, with blanks between them";
        assert_eq!(said, fault, "{scopes}");
    }
    shop.write(Users, "client,key,scopes\ndemo,key,read_orders\n");
    let (_, start, _, _) = FILES[3];
    for (rest, fault) in [
        (
            "demo,2025-09-02T12:37:00Z,2,1.000,8.50",
            "column quantity: is not a whole number such as 5; write digits",
        ),
        ("demo,2025-09-02T12:37:00Z,2,1e2,8.50", "column quantity: is not a whole number such as 5"),
        ("demo,2025-09-02T12:37:00Z,2,99999999999999999999,8.50", "column quantity: is too large a number"),
        (
            "demo,2025-09-02T12:37:00Z,02,1,8.50",
            "column product_id: is not a whole number such as 5; write it without a sign",
        ),
        ("demo,2025-09-02T12:37:00Z,2,1,\"8,50\"", "column unit_price: is not an amount such as 12.99"),
    ] {
        let said = shop.refused(Orders, format!("{start}{rest}\n")).await;
        assert!(said.starts_with(&format!("orders.csv, line 3, {fault}")), "{rest}: {said}");
    }
}

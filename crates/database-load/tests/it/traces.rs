//! What a collector receives of a load.

use std::collections::BTreeSet;
use std::fs;

use test_database::handbook::table;
use test_database::{Collector, Manner, Program, Received, TestDatabase, TestEngine, on_both_engines, only};

use crate::coupon_harness::SAMPLES;

on_both_engines!(a_load_is_one_trace);

const STEPS: [&str; 5] = [
    "dataload.loadProducts",
    "dataload.loadUsers",
    "dataload.loadPromotions",
    "dataload.loadOrders",
    "dataload.loadCoupons",
];

pub fn load(database: &TestDatabase, collector: &Collector) -> Program {
    Program::new("database-load")
        .env("DATABASE_URL", database.url_text())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
}

pub fn is_failed(span: &Received) -> bool {
    span.span.status.as_ref().is_some_and(|status| status.code == 2)
}

fn is_of(span: &Received, database: &TestDatabase) {
    assert_eq!(span.attribute("db.system.name").as_deref(), Some(database.url().engine()));
    assert_eq!(span.attribute("db.namespace"), Some(database.url().name()));
}

async fn a_load_is_one_trace(engine: TestEngine) {
    let collector = Collector::start(Manner::Takes);
    let database = TestDatabase::migrated(engine).await;
    assert!(load(&database, &collector).output().status.success());
    let spans = collector.spans();
    let root = only(&spans, "dataload.execute");
    assert_eq!(root.resource["service.name"], "database-load");
    is_of(root, &database);
    assert_eq!(root.number("process.exit.code"), Some(0));
    for name in STEPS {
        let step = only(&spans, name);
        assert!(step.is_child_of(root), "{name}");
        is_of(step, &database);
        assert_eq!(step.attribute("dataload.outcome").as_deref(), Some("published"), "{name}");
        for part in ["dataload.parse", "dataload.publish"] {
            let parts = spans.iter().filter(|span| span.span.name == part && span.is_child_of(step)).count();
            assert_eq!(parts, 1, "{part} of {name}");
        }
    }
    assert_eq!(only(&spans, STEPS[0]).number("dataload.rows.read"), Some(10));
    for (step, file) in STEPS.iter().zip(["products.csv", "users.csv", "promotions.csv", "orders.csv"]) {
        let step = only(&spans, step);
        assert_eq!(step.attribute("dataload.file").as_deref(), Some(file));
        let size = fs::metadata(format!("{SAMPLES}/../{file}")).unwrap().len();
        assert_eq!(step.number("dataload.file.size"), i64::try_from(size).ok(), "{file}");
    }
    let coupons = only(&spans, "dataload.loadCoupons");
    let names = [1, 2, 3].map(|number| format!("couponbase{number}.gz"));
    assert_eq!(coupons.attribute("dataload.file"), Some(names.join(",")));
    assert_eq!(coupons.number("dataload.file.count"), Some(3));
    let size = names.map(|name| fs::metadata(format!("{SAMPLES}/{name}")).unwrap().len()).iter().sum::<u64>();
    assert_eq!(coupons.number("dataload.file.size"), i64::try_from(size).ok());
    for name in ["dataload.check", "dataload.recheck"] {
        assert!(only(&spans, name).is_child_of(root), "{name}");
    }

    let names: BTreeSet<_> = spans.iter().map(|span| span.span.name.clone()).collect();
    let documented = table("telemetry.md", "### Spans of database-load").into_iter();
    assert_eq!(names, documented.map(|row| row[0].clone()).collect());

    assert!(load(&database, &collector).output().status.success());
    let again = collector.spans().split_off(spans.len());
    for name in STEPS {
        let step = only(&again, name);
        assert_eq!(step.attribute("dataload.outcome").as_deref(), Some("unchanged"), "{name}");
        assert!(step.number("dataload.file.size") > Some(0) && !is_failed(step), "{name}");
    }
    assert!(again.iter().all(|span| span.span.name != "dataload.recheck"), "nothing is to be published");
    let export = format!("{:?}", collector.spans());
    for secret in ["apitest", "SAVE10", "HAPPYHOURS"] {
        assert!(!export.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_wrong_file_is_told() {
    let collector = Collector::start(Manner::Takes);
    let database = TestDatabase::migrated(TestEngine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("products.csv"), "id,name,category,price\n1,Waffle,Waffle,cheap\n").unwrap();
    let output = load(&database, &collector).env("DATA_DIR", folder.path()).output();
    assert_eq!(output.status.code(), Some(4));
    let spans = collector.spans();
    assert!(is_failed(only(&spans, "dataload.execute")) && is_failed(only(&spans, "dataload.loadProducts")));
}

//! The two series make the same tables, columns, nullability and keys.

use std::collections::BTreeSet;

use test_database::{TestDatabase, TestEngine};

/// `table.column type null|not null` for every column, types by what both engines mean by them.
const POSTGRES_COLUMNS: &str = "select format('%s.%s %s %s', c.table_name, c.column_name, \
    case c.data_type when 'bigint' then 'integer' when 'boolean' then 'integer' when 'bytea' then 'blob' \
    when 'uuid' then 'blob' when 'json' then 'text' else c.data_type end, \
    case c.is_nullable when 'YES' then 'null' else 'not null' end) \
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name) \
    where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.table_name <> 'refinery_schema_history'";
const SQLITE_COLUMNS: &str = "select format('%s.%s %s %s', t.name, c.name, lower(c.type), \
    case c.\"notnull\" when 1 then 'not null' else 'null' end) \
    from pragma_table_list t, pragma_table_info(t.name) c \
    where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite_%' and t.name <> 'refinery_schema_history'";

/// `table(column, …)` for every primary key and unique key.
const POSTGRES_KEYS: &str = "select format('%s %s(%s)', case when i.indisunique then 'unique' else 'index' end, t.relname, \
    (select string_agg(a.attname, ', ' order by k.position) from unnest(i.indkey) with ordinality k (attnum, position) \
    join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum)) \
    from pg_index i join pg_class t on t.oid = i.indrelid \
    where t.relnamespace = 'public'::regnamespace and t.relname <> 'refinery_schema_history'";
const SQLITE_KEYS: &str = "select format('%s %s(%s)', case l.\"unique\" when 1 then 'unique' else 'index' end, t.name, \
    (select group_concat(name, ', ') from (select i.name from pragma_index_info(l.name) i order by i.seqno))) \
    from pragma_table_list t, pragma_index_list(t.name) l \
    where t.schema = 'main' and t.type = 'table' and t.name <> 'refinery_schema_history' \
    union all select format('unique %s(%s)', t.name, c.name) from pragma_table_list t, pragma_table_info(t.name) c \
    where t.schema = 'main' and t.type = 'table' and t.wr = 0 and c.pk = 1 and c.type = 'INTEGER' \
    and t.name not like 'sqlite_%' and t.name <> 'refinery_schema_history' \
    and not exists (select 1 from pragma_index_list(t.name) l where l.origin = 'pk')";

/// `table(column) -> table(column)` for every foreign key.
const POSTGRES_REFERENCES: &str = "select format('%s(%s) -> %s', r.relname, a.attname, f.relname) from pg_constraint c \
    join pg_class r on r.oid = c.conrelid join pg_class f on f.oid = c.confrelid \
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] where c.contype = 'f'";
const SQLITE_REFERENCES: &str = "select format('%s(%s) -> %s', t.name, f.\"from\", f.\"table\") \
    from pragma_table_list t, pragma_foreign_key_list(t.name) f where t.schema = 'main'";

const POSTGRES_VIEWS: &str = "select format('%s.%s', table_name, column_name) from information_schema.columns \
    join information_schema.views using (table_schema, table_name) where table_schema = 'public'";
const SQLITE_VIEWS: &str = "select format('%s.%s', t.name, c.name) from pragma_table_list t, pragma_table_info(t.name) c \
    where t.schema = 'main' and t.type = 'view'";

#[tokio::test]
async fn both_series_make_the_same_schema() {
    let postgres = TestDatabase::migrated(TestEngine::Postgres).await;
    let sqlite = TestDatabase::migrated(TestEngine::Sqlite).await;
    for (what, on_postgres, on_sqlite) in [
        ("columns", POSTGRES_COLUMNS, SQLITE_COLUMNS),
        ("keys", POSTGRES_KEYS, SQLITE_KEYS),
        ("references", POSTGRES_REFERENCES, SQLITE_REFERENCES),
        ("views", POSTGRES_VIEWS, SQLITE_VIEWS),
    ] {
        let on_postgres: BTreeSet<_> = postgres.texts(on_postgres).await.into_iter().collect();
        let on_sqlite: BTreeSet<_> = sqlite.texts(on_sqlite).await.into_iter().collect();
        assert!(!on_postgres.is_empty(), "{what}");
        assert_eq!(on_postgres, on_sqlite, "{what}");
    }
}

#[tokio::test]
async fn views_show_what_the_tables_hold() {
    for engine in [TestEngine::Postgres, TestEngine::Sqlite] {
        let database = TestDatabase::migrated(engine).await;
        let id = match engine {
            TestEngine::Postgres => "'01990a4c-5a00-7000-8000-000000000001'",
            TestEngine::Sqlite => "x'01990a4c5a0070008000000000000001'",
        };
        database
            .execute(&format!(
                "insert into api_clients (name, source, created_at, updated_at) values ('demo', 'file', 0, 0); \
                 insert into orders values ({id}, 1, 'placed', 1, 1756814400000000, 1756814400000000, \
                 '{{\"v\":1,\"lines\":[{{\"productId\":1,\"quantity\":2,\"unitPriceCents\":1299,\"discountCents\":10,\
                 \"name\":\"W\",\"category\":\"C\"}}],\"subtotalCents\":2598,\"discountCents\":10,\"totalCents\":2588}}')"
            ))
            .await;
        let lines = "select quantity * unit_price_cents - discount_cents from order_lines where position = 1";
        assert_eq!(database.number(lines).await, 2588, "{engine:?}");
        assert_eq!(
            database.number("select total_cents from order_summaries where client = 'demo'").await,
            2588
        );
        let moment = match engine {
            TestEngine::Postgres => {
                "select to_char(created_at at time zone 'utc', 'YYYY-MM-DD HH24:MI') from order_summaries"
            }
            TestEngine::Sqlite => "select substr(replace(created_at, 'T', ' '), 1, 16) from order_summaries",
        };
        assert_eq!(database.texts(moment).await, ["2025-09-02 12:00"], "{engine:?}");
    }
}

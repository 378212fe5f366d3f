//! Orders, as they are read. The order writer stores them.

use database::{Statement, on_engine};
use domain::{ClientId, Order, OrderId, OrderOwner, OrderStatus, Timestamp};
use uuid::Uuid;

use crate::database::Operation;
use crate::{Database, StorageError};

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    client_id: i64,
    status: String,
    created_at: i64,
    snapshot: String,
}

impl TryFrom<Row> for Order {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let snapshot = serde_json::from_str(&row.snapshot).map_err(|error| StorageError::Inconsistent {
            table: "orders",
            what: format!("id {}: {error}", row.id),
        })?;
        Ok(Self {
            id: OrderId::from_uuid(row.id),
            client_id: ClientId::new(row.client_id),
            status: OrderStatus::of(&row.status),
            created_at: Timestamp::from_micros(row.created_at),
            snapshot,
        })
    }
}

const FIND: Operation = Operation {
    name: "SELECT",
    collection: "orders",
    sql: Statement {
        postgres: "select id, client_id, status, created_at, snapshot::text from orders \
                   where id = $1 and ($2::bigint is null or client_id = $2)",
        sqlite: "select id, client_id, status, created_at, snapshot from orders \
                 where id = $1 and ($2 is null or client_id = $2)",
    },
};
const LIST_OWN: Operation = Operation {
    name: "SELECT",
    collection: "orders",
    sql: Statement {
        postgres: "select id, client_id, status, created_at, snapshot::text from orders \
                   where client_id = $1 and id < $2 order by id desc limit $3",
        sqlite: "select id, client_id, status, created_at, snapshot from orders \
                 where client_id = $1 and id < $2 order by id desc limit $3",
    },
};
const LIST_ALL: Operation = Operation {
    name: "SELECT",
    collection: "orders",
    sql: Statement {
        postgres: "select id, client_id, status, created_at, snapshot::text from orders \
                   where $1::bigint is null and id < $2 order by id desc limit $3",
        sqlite: "select id, client_id, status, created_at, snapshot from orders \
                 where $1 is null and id < $2 order by id desc limit $3",
    },
};

const fn client_id(owner: OrderOwner) -> Option<i64> {
    match owner {
        OrderOwner::Client(client_id) => Some(client_id.get()),
        OrderOwner::Anyone => None,
    }
}

impl Database {
    /// The order with that id, if it is the owner's.
    pub async fn find_order(&self, id: OrderId, owner: OrderOwner) -> Result<Option<Order>, StorageError> {
        self.read(&FIND, |mut connection, sql| async move {
            let row: Option<Row> = on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).bind(id.uuid()).bind(client_id(owner)).fetch_optional(&mut **connection).await?
            });
            row.map(Order::try_from).transpose()
        })
        .await
    }

    /// At most `limit` orders of the owner, newest first, older than `before`.
    pub async fn list_orders(
        &self,
        owner: OrderOwner,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Order>, StorageError> {
        let operation = match owner {
            OrderOwner::Client(_) => &LIST_OWN,
            OrderOwner::Anyone => &LIST_ALL,
        };
        let before = before.map_or(Uuid::max(), OrderId::uuid);
        self.read(operation, |mut connection, sql| async move {
            let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                let query = sqlx::query_as(sql).bind(client_id(owner)).bind(before).bind(i64::from(limit));
                query.fetch_all(&mut **connection).await?
            });
            rows.into_iter().map(Order::try_from).collect()
        })
        .await
    }
}

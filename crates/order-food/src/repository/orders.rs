//! Orders.

use async_trait::async_trait;
use database::{Statement, on_engine};
use domain::{ClientId, IdempotencyKey, Order, OrderId, Timestamp};
use uuid::Uuid;

use super::client::{Client, Operation};
use super::writer::OrderWriter;
use super::{NewOrder, OrderOwner, OrderPlacement, OrderRepository, RepositoryError, StoredAnswer};

/// Orders in SQL.
#[derive(Clone)]
pub struct SqlOrders {
    /// For reading.
    pub client: Client,
    /// For writing.
    pub writer: OrderWriter,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    client_id: i64,
    status: String,
    created_at: i64,
    snapshot: String,
}

impl TryFrom<Row> for Order {
    type Error = RepositoryError;

    fn try_from(row: Row) -> Result<Self, RepositoryError> {
        let snapshot = serde_json::from_str(&row.snapshot).map_err(|error| {
            RepositoryError::Inconsistent { table: "orders", what: format!("id {}: {error}", row.id) }
        })?;
        Ok(Self {
            id: OrderId::from_uuid(row.id),
            client_id: ClientId::new(row.client_id),
            status: row.status,
            created_at: Timestamp::from_micros(row.created_at),
            snapshot,
        })
    }
}

const ANSWER: Operation = Operation::same(
    "SELECT",
    "idempotency_keys",
    "select request_hash, order_id, response from idempotency_keys where client_id = $1 and key = $2",
);
const PRUNE: Operation = Operation {
    name: "DELETE",
    collection: "idempotency_keys",
    sql: Statement {
        // This does not wait for standbys: it can be done again, so nothing is lost.
        postgres: "with quick as materialized (select set_config('synchronous_commit', 'local', true)) \
                   delete from idempotency_keys where ctid in (select k.ctid from quick, idempotency_keys k where created_at < $1 \
                   order by created_at limit $2 for update of k skip locked)",
        sqlite: "delete from idempotency_keys where rowid in (select rowid from idempotency_keys where created_at < $1 \
                 order by created_at limit $2)",
    },
};
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

impl OrderOwner {
    fn client_id(self) -> Option<i64> {
        match self {
            Self::Client(client_id) => Some(client_id.get()),
            Self::Anyone => None,
        }
    }
}

#[async_trait]
impl OrderRepository for SqlOrders {
    async fn place(&self, order: NewOrder) -> Result<OrderPlacement, RepositoryError> {
        self.writer.place(order).await
    }

    async fn answer(
        &self,
        client_id: ClientId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, RepositoryError> {
        let answer: Option<StoredAnswer> = self
            .client
            .call(&ANSWER, async {
                let mut connection = self.client.reader().await?;
                let sql = ANSWER.sql.on(&connection);
                Ok(on_engine!(&mut connection, connection => {
                    let query = sqlx::query_as(sql).bind(client_id.get()).bind(key.as_str());
                    query.fetch_optional(&mut **connection).await?
                }))
            })
            .await?;
        // A repeated answer acknowledges the order again, so the writer looks it up and confirms it.
        match answer {
            Some(_) => self.writer.answer(client_id, key.clone()).await,
            None => Ok(None),
        }
    }

    async fn prune_keys(&self, before: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        self.client
            .call(&PRUNE, async {
                let mut connection = self.client.writer().await?;
                let sql = PRUNE.sql.on(&connection);
                Ok(on_engine!(&mut connection, connection => {
                    let query = sqlx::query(sql).bind(before.micros()).bind(i64::from(limit));
                    query.execute(&mut **connection).await?.rows_affected()
                }))
            })
            .await
    }

    async fn find(&self, id: OrderId, owner: OrderOwner) -> Result<Option<Order>, RepositoryError> {
        self.client.call(&FIND, async {
            let mut connection = self.client.reader().await?;
            let sql = FIND.sql.on(&connection);
            let row: Option<Row> = on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).bind(id.uuid()).bind(owner.client_id()).fetch_optional(&mut **connection).await?
            });
            row.map(Order::try_from).transpose()
        })
        .await
    }

    async fn list(
        &self,
        owner: OrderOwner,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Order>, RepositoryError> {
        let operation = match owner {
            OrderOwner::Client(_) => &LIST_OWN,
            OrderOwner::Anyone => &LIST_ALL,
        };
        self.client.call(operation, async {
            let mut connection = self.client.reader().await?;
            let sql = operation.sql.on(&connection);
            let before = before.map_or(Uuid::max(), OrderId::uuid);
            let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).bind(owner.client_id()).bind(before).bind(i64::from(limit)).fetch_all(&mut **connection).await?
            });
            rows.into_iter().map(Order::try_from).collect()
        })
        .await
    }
}

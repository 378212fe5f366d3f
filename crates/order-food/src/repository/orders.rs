//! Orders.

use async_trait::async_trait;
use database::{Pools, Statement, on_engine};
use domain::{ClientId, Order, OrderId, Timestamp};
use uuid::Uuid;

use super::{OrderOwner, OrderRepository, RepositoryError, STATEMENT_DEADLINE, reading};

/// Orders in SQL.
#[derive(Debug, Clone)]
pub struct SqlOrders(pub Pools);

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

const INSERT: Statement = Statement {
    postgres: "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
               values ($1, $2, $3, 1, $4, $4, $5::json)",
    sqlite: "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
             values ($1, $2, $3, 1, $4, $4, $5)",
};
const FIND: Statement = Statement {
    postgres: "select id, client_id, status, created_at, snapshot::text from orders \
               where id = $1 and ($2::bigint is null or client_id = $2)",
    sqlite: "select id, client_id, status, created_at, snapshot from orders \
             where id = $1 and ($2 is null or client_id = $2)",
};
const LIST_OWN: Statement = Statement {
    postgres: "select id, client_id, status, created_at, snapshot::text from orders \
               where client_id = $1 and id < $2 order by id desc limit $3",
    sqlite: "select id, client_id, status, created_at, snapshot from orders \
             where client_id = $1 and id < $2 order by id desc limit $3",
};
const LIST_ALL: Statement = Statement {
    postgres: "select id, client_id, status, created_at, snapshot::text from orders \
               where $1::bigint is null and id < $2 order by id desc limit $3",
    sqlite: "select id, client_id, status, created_at, snapshot from orders \
             where $1 is null and id < $2 order by id desc limit $3",
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
    async fn insert(&self, order: &Order) -> Result<(), RepositoryError> {
        let snapshot = serde_json::to_string(&order.snapshot)
            .map_err(|error| RepositoryError::Other(sqlx::Error::Encode(error.into())))?;
        let mut connection = self.0.writer().await?;
        let sql = INSERT.on(&connection);
        let stored = on_engine!(&mut connection, connection => {
            let statement = sqlx::query(sql)
                .bind(order.id.uuid())
                .bind(order.client_id.get())
                .bind(&order.status)
                .bind(order.created_at.micros())
                .bind(&snapshot)
                .execute(&mut **connection);
            tokio::time::timeout(STATEMENT_DEADLINE, statement).await.map(|outcome| outcome.map(drop))
        });
        match stored {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if database::is_certainly_not_done(&error) => Err(error.into()),
            Ok(Err(error)) => Err(RepositoryError::OutcomeUnknown(Some(error))),
            Err(_) => Err(RepositoryError::OutcomeUnknown(None)),
        }
    }

    async fn find(&self, id: OrderId, owner: OrderOwner) -> Result<Option<Order>, RepositoryError> {
        reading(async {
            let mut connection = self.0.reader().await?;
            let sql = FIND.on(&connection);
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
        reading(async {
            let mut connection = self.0.reader().await?;
            let sql = match owner {
                OrderOwner::Client(_) => LIST_OWN.on(&connection),
                OrderOwner::Anyone => LIST_ALL.on(&connection),
            };
            let before = before.map_or(Uuid::max(), OrderId::uuid);
            let rows: Vec<Row> = on_engine!(&mut connection, connection => {
                sqlx::query_as(sql).bind(owner.client_id()).bind(before).bind(i64::from(limit)).fetch_all(&mut **connection).await?
            });
            rows.into_iter().map(Order::try_from).collect()
        })
        .await
    }
}

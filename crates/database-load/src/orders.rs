//! Past orders, one line of the file for each line of an order. Orders are history: they are added, never changed.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use database::{ConnectionRef, Statement, on_engine};
use domain::text::normalized;
use domain::{
    OrderItem, OrderLine, OrderSnapshot, OrderStatus, Product, ProductId, Quantity, Spellings, Timestamp,
};
use uuid::Uuid;

use crate::header::required;
use crate::row::Row;
use crate::table::{File, read};
use crate::users::StoredClient;
use crate::{Counts, Fault, LoadError};

/// What order files may refer to.
pub(crate) struct Known<'k> {
    /// The normalized names of the clients.
    pub clients: HashSet<Cow<'k, str>>,
    pub products: HashMap<ProductId, &'k Product>,
}

/// A past order, its client still by name.
pub(crate) struct PastOrder {
    id: Uuid,
    client: String,
    created_at: Timestamp,
    lines: Vec<OrderLine>,
}

struct PastLine {
    order: PastOrder,
    line: OrderLine,
}

/// Reads `orders.csv`. Lines of one order stand together.
pub(crate) fn parse(file: &File<'_>, known: &Known<'_>) -> Result<Vec<PastOrder>, LoadError> {
    let columns = ["order_id", "client", "created_at", "product_id", "quantity", "unit_price"].map(required);
    let mut seen = HashSet::new();
    let mut previous: Option<(Uuid, String, Timestamp, usize)> = None;
    let lines = read(file, &columns, |row| {
        let parsed = past_line(row, known)?;
        let PastOrder { id, client, created_at, .. } = &parsed.order;
        match &mut previous {
            Some((previous_id, previous_client, previous_moment, lines)) if previous_id == id => {
                if normalized(previous_client) != normalized(client) {
                    return Err(
                        row.fault("client", "differs from the line above, which belongs to the same order")
                    );
                }
                if previous_moment != created_at {
                    return Err(row.fault(
                        "created_at",
                        "differs from the line above, which belongs to the same order",
                    ));
                }
                *lines += 1;
                if *lines > OrderItem::MAX_LINES {
                    return Err(
                        row.fault("order_id", format!("has more than {} lines", OrderItem::MAX_LINES))
                    );
                }
            }
            _ => {
                if !seen.insert(*id) {
                    return Err(row
                        .fault("order_id", "has lines further up that do not stand together with this one"));
                }
                previous = Some((*id, client.clone(), *created_at, 1));
            }
        }
        Ok(parsed)
    })?;
    let mut orders: Vec<PastOrder> = Vec::new();
    for PastLine { order, line } in lines {
        match orders.last_mut() {
            Some(last) if last.id == order.id => last.lines.push(line),
            _ => orders.push(PastOrder { lines: vec![line], ..order }),
        }
    }
    Ok(orders)
}

fn past_line(row: &Row<'_>, known: &Known<'_>) -> Result<PastLine, Fault> {
    let id = Uuid::parse_str(row.required_text("order_id", 100)?)
        .map_err(|_| row.fault("order_id", "is not a UUID such as 01990a4c-5a00-7000-8000-000000000001"))?;
    let created_at = Timestamp::parse_rfc3339(row.required_text("created_at", 40)?)
        .ok_or_else(|| row.fault("created_at", "is not a time such as 2026-11-21T04:00:00Z"))?;
    let millis_of_id = id.get_timestamp().map(|moment| {
        let (seconds, nanos) = moment.to_unix();
        i128::from(seconds) * 1000 + i128::from(nanos / 1_000_000)
    });
    if id.get_version_num() != 7 || millis_of_id != Some(i128::from(created_at.millis())) {
        return Err(row.fault("order_id", "is not a UUIDv7 of the millisecond in created_at"));
    }
    let client = row.required_text("client", 200)?;
    if !known.clients.contains(&normalized(client)) {
        return Err(row.fault("client", "is no known client"));
    }
    let product = known
        .products
        .get(&row.product_id("product_id")?)
        .ok_or_else(|| row.fault("product_id", "is no known product"))?;
    let units: i64 = row.required_whole("quantity")?;
    let quantity = Quantity::try_from(units).map_err(|error| row.fault("quantity", error))?;
    let unit_price = row.required_amount("unit_price")?;
    let line = OrderLine { unit_price_cents: unit_price, ..OrderLine::sell(product, quantity) };
    Ok(PastLine { order: PastOrder { id, client: client.to_owned(), created_at, lines: Vec::new() }, line })
}

const STORE: Statement = Statement {
    postgres: "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
               values ($1, $2, $3, 1, $4, $4, $5::json) on conflict (id) do nothing",
    sqlite: "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot) \
             values ($1, $2, $3, 1, $4, $4, $5) on conflict (id) do nothing",
};

/// Adds the orders that are not there yet.
pub(crate) async fn apply(
    mut connection: ConnectionRef<'_>,
    orders: &[PastOrder],
    clients: &Spellings<StoredClient>,
) -> Result<Counts, sqlx::Error> {
    let store = STORE.on(&connection);
    let mut counts = Counts { read: orders.len() as u64, ..Counts::default() };
    for order in orders {
        // Parsing has checked that the client exists or is loaded before the orders.
        let Some(client) = clients.get(&order.client) else {
            return Err(sqlx::Error::RowNotFound);
        };
        let snapshot = serde_json::to_string(&OrderSnapshot::of(order.lines.clone(), None))
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        let added = on_engine!(&mut connection, connection => {
            sqlx::query(store)
                .bind(order.id)
                .bind(client.id)
                .bind(OrderStatus::Placed.as_str())
                .bind(order.created_at.micros())
                .bind(&snapshot)
                .execute(&mut **connection)
                .await?
                .rows_affected()
        });
        counts.added += added;
        counts.unchanged += 1 - added;
    }
    Ok(counts)
}

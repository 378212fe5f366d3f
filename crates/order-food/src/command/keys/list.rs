//! `order-food keys list`.

use std::io::{self, Write};

use database::{Connection, on_engine};
use domain::Timestamp;
use serde::Serialize;

use super::{Keys, KeysError};

#[derive(Debug, Serialize, sqlx::FromRow)]
struct Listed {
    id: i64,
    client: String,
    scopes: String,
    source: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    retired_at: Option<i64>,
    last_used_at: Option<i64>,
    created_at: i64,
    #[serde(skip)]
    pepper_fingerprint: Vec<u8>,
    #[sqlx(skip)]
    state: &'static str,
}

const LIST: &str = "select k.id, c.name as client, k.scopes, k.source, k.expires_at, k.revoked_at, k.retired_at, \
                    k.last_used_at, k.created_at, k.pepper_fingerprint from api_keys k join api_clients c on c.id = k.client_id order by k.id";

impl Keys<'_> {
    /// What an API with this pepper makes of the key.
    fn state(&self, key: &Listed) -> &'static str {
        if key.revoked_at.is_some() {
            "revoked"
        } else if key.retired_at.is_some() {
            "retired"
        } else if key.expires_at.is_some_and(|at| at <= self.clock.now().micros()) {
            "expired"
        } else if key.pepper_fingerprint != self.pepper.fingerprint() {
            "other pepper"
        } else {
            "usable"
        }
    }

    pub(super) async fn list(
        &self,
        connection: &mut Connection,
        json: bool,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        let mut keys: Vec<Listed> =
            on_engine!(connection, connection => sqlx::query_as(LIST).fetch_all(connection).await?);
        for key in &mut keys {
            key.state = self.state(key);
        }
        if json {
            serde_json::to_writer_pretty(&mut *out, &keys).map_err(io::Error::from)?;
            return Ok(writeln!(out)?);
        }
        let moment = |micros: Option<i64>| {
            micros.map_or_else(|| "-".to_owned(), |micros| Timestamp::from_micros(micros).to_string())
        };
        writeln!(
            out,
            "{:>6}  {:<24}  {:<36}  {:<12}  {:<24}  {:<24}",
            "id", "client", "scopes", "state", "expires", "last used"
        )?;
        for key in keys {
            let (expires, used) = (moment(key.expires_at), moment(key.last_used_at));
            writeln!(
                out,
                "{:>6}  {:<24}  {:<36}  {:<12}  {expires:<24}  {used:<24}",
                key.id, key.client, key.scopes, key.state
            )?;
        }
        Ok(())
    }
}

//! `order-food keys list`.

use std::io::{self, Write};

use database::Connection;
use domain::Timestamp;
use serde::Serialize;
use storage::key_administration::{self, ListedKey};

use super::{KeyCommands, KeysError};

/// A key in the list.
#[derive(Debug, Serialize)]
struct Row {
    id: i64,
    client: String,
    scopes: String,
    source: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    retired_at: Option<i64>,
    last_used_at: Option<i64>,
    created_at: i64,
    state: &'static str,
}

impl KeyCommands<'_> {
    /// What an API with this pepper makes of the key.
    fn state(&self, key: &ListedKey) -> &'static str {
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

    fn row(&self, key: ListedKey) -> Row {
        let state = self.state(&key);
        let ListedKey {
            id,
            client,
            scopes,
            source,
            expires_at,
            revoked_at,
            retired_at,
            last_used_at,
            created_at,
            ..
        } = key;
        Row {
            id,
            client,
            scopes,
            source,
            expires_at,
            revoked_at,
            retired_at,
            last_used_at,
            created_at,
            state,
        }
    }

    pub(super) async fn list(
        &self,
        connection: &mut Connection,
        json: bool,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        let keys = key_administration::list(connection).await?;
        let keys: Vec<_> = keys.into_iter().map(|key| self.row(key)).collect();
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

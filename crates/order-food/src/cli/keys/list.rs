//! `order-food keys list`.

use std::io::{self, Write};

use database::Connection;
use domain::Timestamp;
use serde::Serialize;
use storage::key_administration::{self, ListedKey};

use super::{KeyCommands, KeysError};

/// A key in the list, with its state.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    key: ListedKey,
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

    pub(super) async fn list(
        &self,
        connection: &mut Connection,
        json: bool,
        out: &mut dyn Write,
    ) -> Result<(), KeysError> {
        let keys = key_administration::list(connection).await?;
        let keys: Vec<_> = keys.into_iter().map(|key| Row { state: self.state(&key), key }).collect();
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
        for Row { key, state } in keys {
            let (expires, used) = (moment(key.expires_at), moment(key.last_used_at));
            writeln!(
                out,
                "{:>6}  {:<24}  {:<36}  {:<12}  {expires:<24}  {used:<24}",
                key.id, key.client, key.scopes, state
            )?;
        }
        Ok(())
    }
}

//! Where the database is: one grammar for all programs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, postgres::PgSslMode};

use crate::Engine;
use crate::postgres_url::PostgresUrl;

/// A parsed `DATABASE_URL`. `Debug` and `Display` leave the password out.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Engine<PostgresUrl, PathBuf>);

/// Why a text is not a database URL. Never contains the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Neither of the two engines.
    #[error("must start with postgres://, postgresql:// or sqlite://")]
    Scheme,
    /// PostgreSQL's part cannot be read.
    #[error("is not a PostgreSQL URL: {0}")]
    Postgres(&'static str),
    /// One of PostgreSQL's parameters is unknown, or asks for something that is not supported.
    #[error("parameter {name}: {fault}")]
    Parameter {
        /// Its name.
        name: String,
        /// The fault, or the advice to write something else.
        fault: &'static str,
    },
    /// The URL names several hosts, and only one address can be used.
    #[error("names several hosts; name one address that leads to the primary, as that of a proxy")]
    SeveralHosts,
    /// SQLite without a file: every connection would see a database of its own.
    #[error("needs a file after sqlite://; a database in memory cannot be shared by several connections")]
    InMemory,
    /// SQLite's URL has parameters.
    #[error("takes no parameters after sqlite://FILE")]
    Parameters,
}

impl DatabaseUrl {
    /// What an unset `DATABASE_URL` means.
    pub const DEFAULT: &'static str = "sqlite://order-food.db";
    /// How long a writer waits for another process's write to SQLite.
    const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

    /// The SQLite file, if it is SQLite.
    pub fn sqlite_file(&self) -> Option<&Path> {
        match &self.0 {
            Engine::Postgres(_) => None,
            Engine::Sqlite(file) => Some(file),
        }
    }

    /// The engine's name as semantic conventions spell it.
    pub const fn engine(&self) -> &'static str {
        self.0.name()
    }

    /// The database's name (`db.namespace`); SQLite's is that of its file, without the path.
    pub fn name(&self) -> String {
        match &self.0 {
            Engine::Postgres(url) => url.options.get_database().unwrap_or_default().to_owned(),
            Engine::Sqlite(file) => {
                file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
        }
    }

    /// Host and port of the server, if there is one.
    pub fn server(&self) -> Option<(String, u16)> {
        match &self.0 {
            Engine::Postgres(url) => Some((url.options.get_host().to_owned(), url.options.get_port())),
            Engine::Sqlite(_) => None,
        }
    }

    /// How long one attempt to connect may take, where the URL says so.
    pub(crate) const fn connect_timeout(&self) -> Option<Duration> {
        match &self.0 {
            Engine::Postgres(url) => url.connect_timeout,
            Engine::Sqlite(_) => None,
        }
    }

    pub(crate) fn postgres_options(url: &PostgresUrl, application: &str) -> PgConnectOptions {
        // The program's own name comes first: sessions are recognized by it.
        let name = match url.options.get_application_name() {
            None => application.to_owned(),
            Some(name) => format!("{application} ({name})"),
        };
        PgConnectOptions::clone(&url.options)
            .application_name(&name)
            // It only changes floats that are read as text, and there are none here. Poolers refuse it.
            .extra_float_digits(None)
            .disable_statement_logging()
    }

    pub(crate) fn sqlite_options(file: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Self::BUSY_TIMEOUT)
            .disable_statement_logging()
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(url: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(file) = url.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            return match file {
                "" | ":memory:" => Err(DatabaseUrlError::InMemory),
                _ if file.contains('?') => Err(DatabaseUrlError::Parameters),
                _ => Ok(Self(Engine::Sqlite(file.into()))),
            };
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(DatabaseUrlError::Scheme);
        }
        Ok(Self(Engine::Postgres(PostgresUrl::parse(url)?)))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Engine::Sqlite(file) => write!(f, "sqlite://{}", file.display()),
            Engine::Postgres(PostgresUrl { options, .. }) => {
                let tls = match options.get_ssl_mode() {
                    PgSslMode::Prefer => "",
                    PgSslMode::Disable => " without TLS",
                    PgSslMode::Allow | PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => {
                        " over TLS"
                    }
                };
                let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
                write!(
                    f,
                    "postgres://{user}@{host}:{port}/{}{tls}",
                    options.get_database().unwrap_or_default()
                )
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_everything_but_the_password() {
        let url: DatabaseUrl = "postgresql://shop:hunter2@db:5433/orders?sslmode=require".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://shop@db:5433/orders over TLS");
        assert!(!format!("{url:?}").contains("hunter2"));
        let url: DatabaseUrl = DatabaseUrl::DEFAULT.parse().unwrap();
        assert_eq!(url.sqlite_file(), Some(Path::new("order-food.db")));
        let url: DatabaseUrl = "sqlite:///var/lib/shop.db".parse().unwrap();
        assert_eq!(url.sqlite_file(), Some(Path::new("/var/lib/shop.db")));
    }

    #[test]
    fn refuses_what_it_cannot_serve() {
        for (url, error) in [
            ("mysql://db/orders", DatabaseUrlError::Scheme),
            ("", DatabaseUrlError::Scheme),
            ("sqlite://", DatabaseUrlError::InMemory),
            ("sqlite::memory:", DatabaseUrlError::InMemory),
            ("sqlite://a.db?mode=ro", DatabaseUrlError::Parameters),
        ] {
            assert_eq!(url.parse::<DatabaseUrl>().unwrap_err(), error, "{url}");
        }
        for url in ["postgres://secret:pw@", "postgres://db:notaport/x", "postgres://db/"] {
            let error = url.parse::<DatabaseUrl>().unwrap_err();
            assert!(matches!(error, DatabaseUrlError::Postgres(_)), "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}

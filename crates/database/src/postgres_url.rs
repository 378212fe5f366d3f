//! PostgreSQL's URLs. A parameter that only libpq, JDBC or other drivers know is refused by name. It may be the one
//! that asks for TLS, so it is not passed over.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::DatabaseUrlError;

/// A parsed URL.
#[derive(Debug, Clone)]
pub(crate) struct PostgresUrl {
    pub options: Box<PgConnectOptions>,
    /// How long one attempt to connect may take, where the URL says so.
    pub connect_timeout: Option<Duration>,
}

/// Parameters that the driver honours.
const HONOURED: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Parameters of libpq, each with the values that change nothing, and with advice about all other values.
const HAPPENS_ANYWAY: [(&str, &[&str], &str); 8] = [
    (
        "target_session_attrs",
        &["any", "read-write", "primary"],
        "the programs need the primary: leave it out",
    ),
    ("channel_binding", &["disable", "prefer"], "channel binding is not supported: leave it out"),
    ("gssencmode", &["disable", "prefer"], "GSSAPI is not supported: leave it out"),
    ("client_encoding", &["utf8", "utf-8", "auto"], "the encoding is always UTF-8: leave it out"),
    ("load_balance_hosts", &["disable"], "there is one host: leave it out"),
    ("sslsni", &["1"], "the host's name is always sent: leave it out"),
    ("sslcompression", &["0"], "TLS is never compressed: leave it out"),
    (
        "ssl_min_protocol_version",
        &["tlsv1.2"],
        "it is TLSv1.2, and may be raised on the server: leave it out",
    ),
];

/// Parameters of other drivers, each with advice.
const ELSEWHERE: [(&str, &str); 4] = [
    ("ssl", "write sslmode=require, or verify-full with sslrootcert"),
    ("schema", "write options=-csearch_path%3DNAME"),
    ("currentSchema", "write options=-csearch_path%3DNAME"),
    ("pgbouncer", "PgBouncer needs pool_mode = session and nothing here: leave it out"),
];

impl PostgresUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, DatabaseUrlError> {
        const SHAPE: DatabaseUrlError = DatabaseUrlError::Postgres(
            "expected postgres://user:password@host:5432/database?sslmode=require",
        );
        const PORT: DatabaseUrlError = DatabaseUrlError::Postgres("the port is not a number from 1 to 65535");
        const PASSWORD: DatabaseUrlError = DatabaseUrlError::Postgres(
            "characters of the user or password such as / ? # @ % must be percent-encoded, as %2F for /",
        );
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (_, place) = base.split_once("://").ok_or(SHAPE)?;
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        // A host ends at the first of / ? #. If an @ follows, that character was meant to be part of a password.
        let has_port = authority.contains(':');
        let is_cut = credentials.contains('#')
            || credentials.is_empty() && has_port && path.contains('@')
            || path.is_empty() && query.contains('@') && !query.contains("dbname=");
        if is_cut {
            return Err(PASSWORD);
        }
        let mut parameters = Vec::new();
        let mut connect_timeout = None;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (name, value) = (&*decoded(name), &*decoded(value));
            match name {
                "host" | "hostaddr" | "port" if value.contains(',') => {
                    return Err(DatabaseUrlError::SeveralHosts);
                }
                "connect_timeout" => {
                    let seconds: i32 = value.parse().map_err(|_| DatabaseUrlError::Parameter {
                        name: name.to_owned(),
                        fault: "is not a number of seconds",
                    })?;
                    // As in libpq, 0 or less sets no limit. The program's own limit holds then.
                    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
                    connect_timeout = seconds.map(Duration::from_secs);
                }
                _ => {
                    match Self::is_for_the_driver(name, value) {
                        Ok(true) => parameters.push(parameter),
                        Ok(false) => {}
                        // This is part of a password that ends at an @ further on.
                        Err(_) if credentials.is_empty() && query.contains('@') => return Err(PASSWORD),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        if hosts.contains(',') {
            return Err(DatabaseUrlError::SeveralHosts);
        }
        let rest = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        let options = format!("{base}{rest}").parse::<PgConnectOptions>();
        let is_encoded =
            credentials.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.~".contains(&byte));
        let has_wrong_port = || {
            let port = hosts.rsplit_once(':').map_or("", |(_, port)| port);
            !port.is_empty() && !port.ends_with(']') && port.parse::<u16>().is_err()
        };
        let options = options.map_err(|_| match is_encoded {
            false => PASSWORD,
            true if has_wrong_port() => PORT,
            true => SHAPE,
        })?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError::Postgres("the database's name after the host is missing"));
        }
        Ok(Self { options: Box::new(options), connect_timeout })
    }

    /// Whether the driver honours a parameter. If it does not, the value must be one that changes nothing.
    fn is_for_the_driver(name: &str, value: &str) -> Result<bool, DatabaseUrlError> {
        if matches!(name, "sslmode" | "ssl-mode") && value.parse::<PgSslMode>().is_err() {
            return Err(DatabaseUrlError::Parameter {
                name: name.to_owned(),
                fault: "must be one of disable, allow, prefer, require, verify-ca, verify-full",
            });
        }
        if HONOURED.contains(&name) || name.starts_with("options[") {
            return Ok(true);
        }
        let known = HAPPENS_ANYWAY.iter().find(|(known, ..)| *known == name);
        let fault = match known {
            Some((_, values, _)) if values.contains(&&*value.to_ascii_lowercase()) => return Ok(false),
            Some((.., fault)) => fault,
            None => {
                let other = ELSEWHERE.iter().find(|(other, _)| *other == name);
                other.map_or("is not known to this program: leave it out", |(_, advice)| advice)
            }
        };
        // A text that cannot be a name may be part of a password.
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let name = if is_name { name } else { "a parameter" }.to_owned();
        Err(DatabaseUrlError::Parameter { name, fault })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_honoured_or_refused_by_name() {
        let parse = |query: &str| PostgresUrl::parse(&format!("postgres://shop:pw@db/orders?{query}"));
        for query in [
            "",
            "sslmode=require",
            "sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "target_session_attrs=read-write",
            "target_session_attrs=primary&connect_timeout=10",
            "target_session_attrs=any",
            "channel_binding=prefer",
            "gssencmode=disable",
            "client_encoding=UTF8",
            "application_name=till%207",
            "options=-csearch_path%3Dshop",
            "options[search_path]=shop",
            "connect_timeout=0",
            "connect_timeout=%35",
            "target_session_attrs=read%2Dwrite",
            "options%5Bsearch_path%5D=shop",
            "load_balance_hosts=disable&sslsni=1",
        ] {
            parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        }
        for (query, said) in [
            ("ssl=true", "ssl: write sslmode=require"),
            ("schema=shop", "schema: write options="),
            ("currentSchema=shop", "currentSchema: write"),
            ("pgbouncer=true", "pgbouncer: PgBouncer needs pool_mode = session"),
            ("channel_binding=require", "channel_binding: channel binding is not supported"),
            ("target_session_attrs=standby", "target_session_attrs: the programs need the primary"),
            ("target_session_attrs=prefer-standby", "target_session_attrs:"),
            ("sslmode=bogus", "sslmode: must be one of disable"),
            ("sslmode=true", "sslmode: must be one of disable"),
            ("sslmode=", "sslmode: must be one of disable"),
            ("connect_timeout=soon", "connect_timeout: is not a number"),
            ("sslmode=require&sslcrl=/a", "sslcrl: is not known"),
            ("keepalives=1", "keepalives: is not known"),
            ("load_balance_hosts=random", "load_balance_hosts: there is one host"),
            ("SSLMODE=require", "SSLMODE: is not known"),
            ("connection_limit=5", "connection_limit: is not known"),
            ("fallback_application_name=a", "fallback_application_name: is not known"),
            ("hunter%2F2=1", "a parameter: is not known"),
        ] {
            let error = parse(query).unwrap_err().to_string();
            assert!(error.contains(said), "{query}: {error}");
        }
    }

    #[test]
    fn a_port_that_is_none_is_named() {
        for url in
            ["postgres://shop:pw@db:99999/orders", "postgres://db:port/orders", "postgres://[::1]:-1/orders"]
        {
            let error = PostgresUrl::parse(url).unwrap_err().to_string();
            assert!(error.ends_with("the port is not a number from 1 to 65535"), "{url}: {error}");
        }
        PostgresUrl::parse("postgres://[::1]/orders").unwrap();
    }

    #[test]
    fn several_hosts_are_refused_with_that_word() {
        for url in [
            "postgres://shop:pw@one:5432,two:5433/orders",
            "postgres://shop:pw@one,two/orders",
            "postgres://one,two,three/orders",
            "postgres://shop@/orders?host=one,two",
            "postgres://shop@one/orders?port=5432,5433",
            "postgres://shop@/orders?hostaddr=10.0.0.1%2C10.0.0.2",
        ] {
            let error = PostgresUrl::parse(url).unwrap_err();
            assert_eq!(error, DatabaseUrlError::SeveralHosts, "{url}");
            assert!(error.to_string().contains("several hosts"));
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_named_and_never_shown() {
        for url in [
            "postgres://shop:hun/ter2@db/orders",
            "postgres://shop:12/ter2@db:5432/orders",
            "postgres://shop:hun#ter2@db/orders",
            "postgres://shop:12#ter2@db/orders",
            "postgres://shop:hun?ter2@db/orders",
            "postgres://shop:12?ter2=@db/orders",
            "postgres://shop:hunter2%ff@db/orders",
            "postgres://shop:[hunter2]@db:port/orders",
            "postgres://shop:1/t?hunter2=a&q@db/orders",
        ] {
            let error = PostgresUrl::parse(url).unwrap_err().to_string();
            assert!(error.contains("percent-encoded"), "{url}: {error}");
            assert!(!error.contains("ter2") && !error.contains("12"), "{url}: {error}");
        }
        for url in [
            "postgres://shop:hun%2Fter2@db/orders",
            "postgres://shop:p@ss@db/orders",
            "postgres://shop:pw@db/orders@eu",
            "postgres://db/orders?user=shop@server&password=pw",
            "postgresql://shop@db/orders?",
            "postgres://db?user=shop@server&dbname=orders",
            "postgres://db/orders@eu",
        ] {
            PostgresUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
    }
}

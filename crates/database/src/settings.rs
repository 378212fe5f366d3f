//! Settings that all three programs share, and one way to refuse a wrong one: a line that names the variable, the
//! fault and an example, and never shows a secret.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::{DatabaseUrl, DatabaseUrlError};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {fault}; example: {variable}={example}")]
pub struct SettingError {
    /// The environment variable's name.
    pub variable: String,
    /// What is wrong with it.
    pub fault: String,
    /// A value that would do.
    pub example: &'static str,
}

/// Which database.
#[derive(Debug, Clone, clap::Args)]
pub struct DatabaseArgs {
    /// postgres://user:password@host:5432/database[?sslmode=require] or sqlite://FILE [default: sqlite://order-food.db]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// A file that holds the database URL, instead of DATABASE_URL
    #[arg(long, env = "DATABASE_URL_FILE", global = true, value_parser = path)]
    database_url_file: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The database meant, by default the embedded one.
    pub fn url(&self) -> Result<DatabaseUrl, SettingError> {
        let url = secret("DATABASE_URL", self.database_url.as_deref(), self.database_url_file.as_deref())?;
        url.as_deref().unwrap_or(DatabaseUrl::DEFAULT).parse().map_err(|error: DatabaseUrlError| {
            SettingError {
                variable: "DATABASE_URL".to_owned(),
                fault: error.to_string(),
                example: "postgres://user:password@host:5432/order_food",
            }
        })
    }
}

/// Any path, the empty one too: an empty variable counts as not set.
pub fn path(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(text.into())
}

/// Reads `true` or `false`. The error shows the example.
pub fn truth(example: &'static str) -> impl Fn(&str) -> Result<bool, String> + Clone + Send + Sync + 'static {
    move |text| text.parse().map_err(|_| format!("is neither true nor false; example: {example}"))
}

/// A secret given directly or, for mounted secrets, as the name of a file. Empty counts as not given; a newline at the
/// end of the file is not part of it.
pub fn secret(
    variable: &str,
    value: Option<&str>,
    file: Option<&Path>,
) -> Result<Option<String>, SettingError> {
    let example = "/run/secrets/secret";
    let fault = |fault: String| SettingError { variable: format!("{variable}_FILE"), fault, example };
    let value = value.filter(|value| !value.is_empty());
    match (value, file.filter(|file| !file.as_os_str().is_empty())) {
        (Some(_), Some(_)) => Err(fault(format!("is set together with {variable}; set one of them"))),
        (Some(value), None) => Ok(Some(value.to_owned())),
        (None, None) => Ok(None),
        (None, Some(file)) => {
            let text = fs::read_to_string(file).map_err(|error| {
                // Whoever puts the secret itself here does not want to see it in a log.
                let name = file.to_string_lossy();
                let name = if name.contains("://") { "the file" } else { &name };
                fault(format!("cannot read {name}: {error}"))
            })?;
            let text = text.trim_end_matches(['\n', '\r']);
            if text.is_empty() {
                Err(fault(format!("{} is empty", file.display())))
            } else {
                Ok(Some(text.to_owned()))
            }
        }
    }
}

/// Reads a program's arguments and environment. `Err` holds what to print and whether that is a failure: a wrong value
/// gives one line, `--help` and `--version` their text.
pub fn parse<T: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<T, Refusal> {
    T::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Refusal { text: error.to_string(), is_failure: false }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            Refusal { text: one_line(&error, &T::command()), is_failure: true }
        }
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            // What looks like a URL may hold a password.
            let line = if line.contains("://") { "unexpected argument" } else { line };
            Refusal { text: format!("{line}; see --help"), is_failure: true }
        }
    })
}

/// Why a program does not start, ready to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to print, without a newline at the end.
    pub text: String,
    /// Whether it is an error (stderr, exit code 2) or what was asked for (stdout, exit code 0).
    pub is_failure: bool,
}

impl Refusal {
    /// Prints it and gives the exit code that goes with it.
    pub fn report(&self, program: &str) -> ExitCode {
        if self.is_failure {
            // There may be no reader.
            let _ = writeln!(io::stderr(), "{program}: {}", self.text);
            ExitCode::from(2)
        } else {
            let _ = writeln!(io::stdout(), "{}", self.text.trim_end());
            ExitCode::SUCCESS
        }
    }
}

impl From<SettingError> for Refusal {
    fn from(error: SettingError) -> Self {
        Self { text: error.to_string(), is_failure: true }
    }
}

/// The argument that is set by the variable. Subcommands are searched, too.
fn argument_of<'c>(command: &'c clap::Command, variable: &str) -> Option<&'c clap::Arg> {
    let is_named = |argument: &&clap::Arg| argument.get_env().is_some_and(|name| name == variable);
    let of_subcommand = || command.get_subcommands().find_map(|command| argument_of(command, variable));
    command.get_arguments().find(is_named).or_else(of_subcommand)
}

/// `SERVER_PORT: "http" invalid digit found in string; …` from what clap knows about the failure. A value that may be
/// a secret is left out.
fn one_line(error: &clap::Error, command: &clap::Command) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // clap spells the argument "--server-port <SERVER_PORT>"; the name in brackets is the variable's, if there is one.
    let spelt = context(ContextKind::InvalidArg);
    let (option, name) = spelt.split_once('<').unwrap_or((spelt, spelt));
    let (option, name) = (option.trim(), name.trim_end_matches(['>', '.']));
    let argument = argument_of(command, name);
    let variable = if argument.is_some() || option.is_empty() { name } else { option };
    let fault = match (std::error::Error::source(error), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(valid))) if valid.is_empty() => {
            return format!("{variable}: needs a value");
        }
        (None, Some(ContextValue::Strings(valid))) => {
            let example = valid.first().map(String::as_str).unwrap_or_default();
            format!("must be one of {}; example: {variable}={example}", valid.join(", "))
        }
        _ => "is not valid".to_owned(),
    };
    // A value that may be a secret is hidden in `--help`, too.
    if argument.is_some_and(clap::Arg::is_hide_env_values_set) {
        return format!("{variable}: {fault}");
    }
    let value = context(ContextKind::InvalidValue);
    // What looks like a name and a password is not shown.
    let value = if value.contains('@') { "***" } else { value };
    format!("{variable}: \"{value}\" {fault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[arg(long, env = "SERVER_PORT", value_parser = |text: &str| text.parse::<u16>().map_err(|_| "is not a port; example: SERVER_PORT=8080"))]
        server_port: u16,
        #[arg(long, env = "TOKEN", hide_env_values = true, value_parser = |text: &str| text.strip_prefix("t:").map(str::to_owned).ok_or("is not a token; example: TOKEN=t:1"))]
        token: Option<String>,
        #[arg(long, value_name = "LIST", value_parser = ["menu", "users"])]
        only: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    }

    fn parsed(arguments: &[&str]) -> Result<Arguments, Refusal> {
        parse(["program"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn a_wrong_value_is_one_line_that_names_it() {
        let refusal = parsed(&["--server-port", "http"]).unwrap_err();
        assert_eq!(refusal.text, "SERVER_PORT: \"http\" is not a port; example: SERVER_PORT=8080");
        let refusal = parsed(&["--server-port", "1", "--only", "orders"]).unwrap_err();
        assert_eq!(refusal.text, "--only: \"orders\" must be one of menu, users; example: --only=menu");
        let refusal = parsed(&["--sever-port", "1"]).unwrap_err();
        assert_eq!(refusal.text, "unexpected argument '--sever-port' found; see --help");
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for token in ["Authorization:Bearer abc", "hunter2", "p@ss"] {
            let refusal = parsed(&["--server-port", "1", "--token", token]).unwrap_err();
            assert_eq!(refusal.text, "TOKEN: is not a token; example: TOKEN=t:1");
        }
        let arguments = parsed(&["--server-port", "1", "--token", "t:1", "--only", "menu"]).unwrap();
        assert!(arguments.token.is_some() && arguments.only.is_some());
    }

    #[test]
    fn a_wrong_url_is_named_and_not_shown() {
        let arguments = parsed(&["--server-port", "1", "--database-url", "mysql://u:hunter2@h/d"]).unwrap();
        let line = arguments.database.url().unwrap_err().to_string();
        assert!(line.starts_with("DATABASE_URL: must start with postgres://"), "{line}");
        assert!(!line.contains("hunter2"));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_secret_comes_from_one_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let empty = secret("PEPPER", None, Some(file.path())).unwrap_err();
        assert_eq!(empty.variable, "PEPPER_FILE");
        fs::write(file.path(), "from file\n").unwrap();
        assert_eq!(secret("PEPPER", None, Some(file.path())), Ok(Some("from file".to_owned())));
        assert_eq!(secret("PEPPER", Some("direct"), None), Ok(Some("direct".to_owned())));
        assert_eq!(secret("PEPPER", Some(""), None), Ok(None));
        assert!(secret("PEPPER", Some("direct"), Some(file.path())).is_err());
        assert!(secret("PEPPER", None, Some(Path::new("/nowhere"))).is_err());
    }
}

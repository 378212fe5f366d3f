//! The secret under which API keys are hashed.

use std::path::PathBuf;

use database::settings::{SettingError, path, secret};
use domain::Pepper;

/// The pepper of API keys. The loader and every API of one database need the same.
#[derive(Debug, Clone, clap::Args)]
pub struct PepperArgs {
    /// The secret under which API keys are hashed; the same for the loader and all APIs of a database
    #[arg(long, env = "API_KEY_PEPPER", hide_env_values = true, global = true)]
    api_key_pepper: Option<String>,
    /// A file that holds the pepper, instead of API_KEY_PEPPER
    #[arg(long, env = "API_KEY_PEPPER_FILE", global = true, value_parser = path)]
    api_key_pepper_file: Option<PathBuf>,
}

impl PepperArgs {
    /// The pepper meant; none given is the empty one.
    pub fn pepper(&self) -> Result<Pepper, SettingError> {
        let pepper =
            secret("API_KEY_PEPPER", self.api_key_pepper.as_deref(), self.api_key_pepper_file.as_deref())?;
        Ok(Pepper::new(pepper.unwrap_or_default().as_bytes()))
    }
}

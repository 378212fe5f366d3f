//! Writes the API's description: `cargo run --package order-food --example openapi > docs/openapi.yaml`

use std::error::Error;
use std::io::{self, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let description = yaml_serde::to_string(&order_food::openapi::document())?;
    io::stdout().write_all(description.as_bytes())?;
    Ok(())
}

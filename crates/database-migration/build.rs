//! A new migration is compiled in although no Rust file changed.
#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

fn main() {
    for folder in ["postgres", "sqlite"] {
        println!("cargo::rerun-if-changed=../../migrations/{folder}");
    }
}

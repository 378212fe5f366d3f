//! Makes coupon files with known answers: `cargo run --release -p coupon-corpus --example generate -- --help`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Makes coupon files, and expected.md, which loads pass over, with the codes that stand in at least two of them
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to put them
    directory: PathBuf,
    /// How large: 1 is as large as the reference files, 313 million lines
    #[arg(long, default_value_t = 0.001)]
    scale: f64,
    /// What they look like
    #[arg(long, value_enum, default_value_t = Shape::Reference)]
    shape: Shape,
    /// Another seed makes other files
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    /// A length for each file, eight codes in several, some repeated in one
    Reference,
    /// All lengths in all files, at random
    Mixed,
    /// The same codes in all files
    Alike,
    /// One code and nothing else
    OneCode,
    /// Every line twice, in its own file only
    Twice,
}

/// Lines of the public reference files.
const REFERENCE_LINES: [u32; 3] = [107_260_777, 107_260_776, 98_566_152];
const REFERENCE_ANSWERS: [&str; 8] =
    ["BIRTHDAY", "BUYGETON", "FIFTYOFF", "FREEZAAA", "GNULINUX", "HAPPYHRS", "OVER9000", "SIXTYOFF"];
/// In one file each.
const DECOYS: [&str; 3] = ["SUPER100", "ONLYHERE1", "ONLYTHERE2"];

struct Generator<W> {
    out: W,
    random: fastrand::Rng,
    shape: Shape,
    file: usize,
}

impl<W: Write> Generator<W> {
    fn code(&mut self) -> Vec<u8> {
        const SYMBOLS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let length = match self.shape {
            Shape::Reference => 8 + self.file,
            Shape::OneCode => return b"HAPPYHRS".to_vec(),
            Shape::Mixed | Shape::Alike | Shape::Twice => self.random.usize(8..=10),
        };
        (0..length).map(|_| SYMBOLS[self.random.usize(..SYMBOLS.len())]).collect()
    }

    fn write(&mut self, lines: u64) -> io::Result<()> {
        // Spread evenly, so that they stand far apart.
        let planted: &[&str] = match (self.shape, self.file) {
            (Shape::Reference | Shape::Mixed, 0) => &REFERENCE_ANSWERS,
            (Shape::Reference | Shape::Mixed, 1) => &[
                "SIXTYOFF", "OVER9000", "HAPPYHRS", "GNULINUX", "FREEZAAA", "FIFTYOFF", "BUYGETON",
                "BIRTHDAY",
            ],
            (Shape::Reference | Shape::Mixed, _) => {
                &["FREEZAAA", "BIRTHDAY", "BUYGETON", "FIFTYOFF", "GNULINUX", "OVER9000", "SIXTYOFF"]
            }
            _ => &[],
        };
        let (every, mut planted) = (lines / 10, planted.iter());
        for line in 0..lines {
            let code = self.code();
            self.out.write_all(&code)?;
            self.out.write_all(b"\n")?;
            let is_twice = match self.shape {
                Shape::Twice => true,
                Shape::Reference => self.random.u32(..150_000) == 0,
                Shape::Mixed | Shape::Alike | Shape::OneCode => false,
            };
            if is_twice {
                self.out.write_all(&code)?;
                self.out.write_all(b"\n")?;
            }
            if line % every.max(1) == every / 2
                && let Some(code) = planted.next()
            {
                writeln!(self.out, "{code}")?;
            }
        }
        for code in planted {
            writeln!(self.out, "{code}")?;
        }
        writeln!(self.out, "{}", DECOYS[self.file])
    }
}

fn write_file(arguments: &Arguments, file: usize) -> io::Result<()> {
    let out = File::create(arguments.directory.join(format!("couponbase{}.gz", file + 1)))?;
    let mut out = BufWriter::with_capacity(1024 * 1024, GzEncoder::new(out, Compression::default()));
    let seed =
        if arguments.shape == Shape::Alike { arguments.seed } else { arguments.seed * 3 + file as u64 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of lines")]
    let lines = (f64::from(REFERENCE_LINES[file]) * arguments.scale) as u64;
    let lines = if arguments.shape == Shape::Twice { lines / 2 } else { lines };
    Generator { out: &mut out, random: fastrand::Rng::with_seed(seed), shape: arguments.shape, file }
        .write(lines)?;
    out.into_inner()?.finish()?.sync_all()
}

fn expected(arguments: &Arguments, directory: &Path) -> io::Result<()> {
    let path = directory.join("expected.md");
    let answers: &[&str] = match arguments.shape {
        Shape::Reference | Shape::Mixed => &REFERENCE_ANSWERS,
        Shape::OneCode => &["HAPPYHRS"],
        Shape::Twice => &[],
        // All but the decoys: as many as there are different lines.
        Shape::Alike => return Ok(()),
    };
    File::create(path)?
        .write_all(answers.iter().map(|code| format!("{code}\n")).collect::<String>().as_bytes())
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.directory)?;
    let arguments = &arguments;
    thread::scope(|scope| {
        let files: Vec<_> = (0..3).map(|file| scope.spawn(move || write_file(arguments, file))).collect();
        files
            .into_iter()
            .try_for_each(|file| file.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    expected(arguments, &arguments.directory)
}

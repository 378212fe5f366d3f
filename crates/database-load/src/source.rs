//! Where the files come from.

use std::fs;
use std::io;
use std::path::PathBuf;

use database::settings::{path, truth};
use telemetry::traces;
use tracing::Span;

use crate::coupon_files::{self, CouponFile};
use crate::{DataSet, LoadError};

/// Where the data comes from.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// The folder with products.csv, users.csv, promotions.csv, orders.csv, coupons/ [default: the copy compiled into the program]
    #[arg(long, env = "DATA_DIR", value_parser = path)]
    data_dir: Option<PathBuf>,
    /// Whether the compiled-in users and orders, which are for trying things out, are loaded too
    #[arg(long, env = "LOAD_DEMO_DATA", default_value_t = true, action = clap::ArgAction::Set, value_parser = truth("LOAD_DEMO_DATA=false"))]
    load_demo_data: bool,
}

impl SourceArgs {
    /// The source meant.
    pub fn source(&self) -> Source {
        match &self.data_dir {
            Some(folder) if !folder.as_os_str().is_empty() => Source::Folder(folder.clone()),
            _ => Source::CompiledIn { with_demo_data: self.load_demo_data },
        }
    }
}

/// What a data set is made of.
pub(crate) enum Content {
    /// The source does not have it.
    None,
    /// The bytes of its file.
    File(Vec<u8>),
    /// Coupon files, not read yet.
    Coupons(Vec<CouponFile>),
}

impl Content {
    /// The most names of coupon files that a span lists.
    const MOST_NAMES: usize = 64;

    /// Notes the names of the files, as messages write them, and their size on the span.
    pub(crate) fn describe(&self, span: &Span, file_name: &'static str) {
        let bytes = match self {
            Self::None => return,
            Self::File(bytes) => {
                traces::set(span, "dataload.file", file_name);
                bytes.len() as u64
            }
            Self::Coupons(files) => {
                let names: Vec<_> = files.iter().take(Self::MOST_NAMES).map(CouponFile::name).collect();
                traces::set_list(
                    span,
                    "dataload.file",
                    &names.iter().map(String::as_str).collect::<Vec<_>>(),
                );
                traces::set(span, "dataload.file.count", i64::try_from(files.len()).unwrap_or(i64::MAX));
                // A file that is gone by now fails when it is read.
                files.iter().filter_map(|file| file.size_bytes().ok()).sum()
            }
        };
        traces::set(span, "dataload.file.size", i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// A place to read data sets from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder of files; a data set without a file is left alone.
    Folder(PathBuf),
    /// The copy of `seed/` inside the program.
    CompiledIn {
        /// With users and orders.
        with_demo_data: bool,
    },
    /// Coupon files, and folders of them; nothing else.
    CouponFiles(Vec<PathBuf>),
}

impl Source {
    /// What a data set is made of.
    pub(crate) fn read(&self, data_set: DataSet) -> Result<Content, LoadError> {
        match (self, data_set) {
            (Self::CompiledIn { with_demo_data: false }, _) if data_set.is_demo() => Ok(Content::None),
            (Self::CouponFiles(paths), DataSet::Coupons) => Ok(Content::Coupons(coupon_files::named(paths)?)),
            (Self::CouponFiles(_), _) => Ok(Content::None),
            (Self::CompiledIn { .. }, DataSet::Coupons) => Ok(Content::Coupons(coupon_files::compiled_in())),
            (Self::CompiledIn { .. }, _) => Ok(Content::File(compiled_in(data_set).to_vec())),
            (Self::Folder(folder), DataSet::Coupons) => {
                let files = coupon_files::in_folder(&folder.join(data_set.file_name()))?;
                Ok(files.map_or(Content::None, Content::Coupons))
            }
            (Self::Folder(folder), _) => {
                let path = folder.join(data_set.file_name());
                // Reading a pipe would wait for somebody to write into it.
                let is_file = fs::metadata(&path).map(|metadata| metadata.is_file());
                let not_a_file = || io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file");
                match is_file.and_then(|is_file| if is_file { fs::read(&path) } else { Err(not_a_file()) }) {
                    Ok(bytes) => Ok(Content::File(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {
                        Ok(Content::None)
                    }
                    Err(error) => Err(LoadError::Unreadable(path, error)),
                }
            }
        }
    }

    /// That none of `data_sets` has a file here.
    pub(crate) fn nothing_to_load(&self, data_sets: &[DataSet]) -> LoadError {
        let folder = match self {
            Self::Folder(folder) => folder.clone(),
            Self::CompiledIn { .. } => PathBuf::from("the compiled-in data"),
            Self::CouponFiles(_) => PathBuf::from("the files"),
        };
        let names: Vec<_> = data_sets.iter().map(|data_set| data_set.file_name()).collect();
        LoadError::NothingToLoad(folder, names.join(", "))
    }
}

const fn compiled_in(data_set: DataSet) -> &'static [u8] {
    match data_set {
        DataSet::Products => include_bytes!("../../../seed/products.csv"),
        DataSet::Users => include_bytes!("../../../seed/users.csv"),
        DataSet::Promotions => include_bytes!("../../../seed/promotions.csv"),
        DataSet::Orders => include_bytes!("../../../seed/orders.csv"),
        DataSet::Coupons => &[],
    }
}

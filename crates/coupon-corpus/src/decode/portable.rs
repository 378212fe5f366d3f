//! gzip by zlib-rs.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Member, corrupt};

/// Inflates a member, header and trailer included.
pub(super) struct ZlibRs(Decompress);

impl ZlibRs {
    pub(super) fn new() -> Self {
        Self(Decompress::new_gzip(15))
    }
}

impl Member for ZlibRs {
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize, bool)> {
        let (taken_before, made_before) = (self.0.total_in(), self.0.total_out());
        let status = self
            .0
            .decompress(input, output, FlushDecompress::None)
            .map_err(|_| corrupt("the gzip data are corrupt"))?;
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let taken = count(self.0.total_in() - taken_before);
        let made = count(self.0.total_out() - made_before);
        Ok((taken, made, status == Status::StreamEnd))
    }

    fn reset(&mut self) {
        self.0 = Decompress::new_gzip(15);
    }
}

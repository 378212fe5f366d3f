//! From the bytes of a file to its text: gzip of one or several members, or plain.

#[cfg(feature = "isal")]
mod isal;
mod portable;

use std::io::{self, Read};

/// Who takes gzip apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inflate {
    /// zlib-rs: in Rust, on every machine.
    Portable,
    /// Intel's ISA-L, from the system; twice as fast.
    #[cfg(feature = "isal")]
    Isal,
}

impl Inflate {
    /// All there are in this build.
    pub const ALL: &[Self] = &[
        Self::Portable,
        #[cfg(feature = "isal")]
        Self::Isal,
    ];

    /// The fastest in this build.
    pub const FASTEST: Self = Self::ALL[Self::ALL.len() - 1];

    /// Its name, for `--version`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "zlib-rs",
            #[cfg(feature = "isal")]
            Self::Isal => "ISA-L",
        }
    }
}

/// Magic number, method, flags.
const HEADER_BYTES: usize = 4;

/// Bytes read from a file at a time.
const INPUT_BYTES: usize = 256 * 1024;

/// The file's bytes as they come, with a place to look ahead.
struct Input<'c> {
    content: Box<dyn Read + Send + 'c>,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
}

impl<'c> Input<'c> {
    fn new(content: Box<dyn Read + Send + 'c>) -> Self {
        Self { content, buffer: vec![0; INPUT_BYTES], at: 0, end: 0 }
    }

    /// What is there and not used yet; empty only at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.at == self.end {
            match self.content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => (self.at, self.end) = (0, read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.at..self.end])
    }

    /// The first bytes of what is not used yet, fewer at the end.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        self.fill()?;
        if self.end - self.at < count {
            self.buffer.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
            while self.end < count {
                match self.content.read(&mut self.buffer[self.end..]) {
                    Ok(0) => break,
                    Ok(read) => self.end += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(&self.buffer[self.at..self.end.min(self.at + count)])
    }

    fn take(&mut self, count: usize) {
        self.at += count;
    }
}

/// Inflates the members of a gzip file one after another.
trait Member {
    /// Inflates on. Returns the bytes taken, the bytes made, and whether the member is complete, checksum and all.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize, bool)>;
    /// Gets ready for the next member.
    fn reset(&mut self);
}

/// Reads the text of a file.
pub(crate) struct Decoder<'c> {
    input: Input<'c>,
    format: Format,
}

enum Format {
    Unknown(Inflate),
    Plain,
    Gzip { member: Box<dyn Member>, is_within: bool },
}

impl<'c> Decoder<'c> {
    pub(crate) fn new(content: Box<dyn Read + Send + 'c>, inflate: Inflate) -> Self {
        Self { input: Input::new(content), format: Format::Unknown(inflate) }
    }

    /// Reads on; 0 is the end.
    pub(crate) fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if let Format::Unknown(inflate) = self.format {
            self.format = if is_gzip(self.input.peek(HEADER_BYTES)?)? {
                let member: Box<dyn Member> = match inflate {
                    Inflate::Portable => Box::new(portable::ZlibRs::new()),
                    #[cfg(feature = "isal")]
                    Inflate::Isal => Box::new(isal::IsaL::new()?),
                };
                Format::Gzip { member, is_within: true }
            } else {
                Format::Plain
            };
        }
        let Format::Gzip { member, is_within } = &mut self.format else {
            let available = self.input.fill()?;
            let count = available.len().min(output.len());
            output[..count].copy_from_slice(&available[..count]);
            self.input.take(count);
            return Ok(count);
        };
        loop {
            if !*is_within {
                if !next_member(&mut self.input)? {
                    return Ok(0);
                }
                member.reset();
                *is_within = true;
            }
            let available = self.input.fill()?;
            if available.is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the gzip data end early"));
            }
            let (taken, made, is_complete) = member.inflate(available, output)?;
            self.input.take(taken);
            *is_within = !is_complete;
            if made > 0 {
                return Ok(made);
            }
            if taken == 0 && !is_complete {
                return Err(corrupt("the gzip data are corrupt"));
            }
        }
    }
}

/// Whether another member follows. Zeros after the last one are padding, as gzip itself sees it; anything else is not.
fn next_member(input: &mut Input<'_>) -> io::Result<bool> {
    loop {
        let head = input.peek(HEADER_BYTES)?;
        if is_gzip(head)? {
            return Ok(true);
        }
        match head.first() {
            None => return Ok(false),
            Some(0) => input.take(1),
            Some(_) => return Err(corrupt("after the gzip data there is something else")),
        }
    }
}

/// Whether a member begins so. Flags that mean nothing yet may mean anything one day (RFC 1952, section 2.3.1.2): not
/// every decoder refuses them.
fn is_gzip(head: &[u8]) -> io::Result<bool> {
    const RESERVED_FLAGS: u8 = 0xe0;
    match head {
        [0x1f, 0x8b, _, flags, ..] if flags & RESERVED_FLAGS != 0 => {
            Err(corrupt("the gzip data are corrupt"))
        }
        [0x1f, 0x8b, ..] => Ok(true),
        _ => Ok(false),
    }
}

fn corrupt(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

//! Recognizes content that is not text: by its first bytes, or by a NUL byte.

use std::fmt;

/// A kind of content that is not text in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// A tar archive.
    Tar,
    /// A zip archive; newer spreadsheets are zip archives, too.
    Zip,
    /// A spreadsheet from Excel before 2007.
    OldExcel,
    /// gzip within gzip, or gzip in a file that must not be compressed.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstandard,
    /// 7z.
    SevenZip,
    /// PDF.
    Pdf,
    /// UTF-16, with or without a byte order mark.
    Utf16,
    /// UTF-32 with a byte order mark.
    Utf32,
    /// Any other content with a NUL byte in it.
    Nul,
}

impl Binary {
    /// A byte that text never contains.
    pub const NUL: u8 = 0;

    /// The kind of content that begins with these bytes; `None` if they may be text.
    pub fn beginning(bytes: &[u8]) -> Option<Self> {
        // POSIX, ustar interchange format: the magic is in the header of the first member.
        const TAR_MAGIC_AT: usize = 257;
        let magics: [(&[u8], Self); 11] = [
            (b"\xff\xfe\0\0", Self::Utf32),
            (b"\0\0\xfe\xff", Self::Utf32),
            (b"\xff\xfe", Self::Utf16),
            (b"\xfe\xff", Self::Utf16),
            (b"PK\x03\x04", Self::Zip),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Self::OldExcel),
            (b"\x1f\x8b", Self::Gzip),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"\x28\xb5\x2f\xfd", Self::Zstandard),
            (b"7z\xbc\xaf\x27\x1c", Self::SevenZip),
            (b"%PDF-", Self::Pdf),
        ];
        if let Some((_, binary)) = magics.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Some(*binary);
        }
        // The magic of bzip2 is letters and a digit, as text is, so the magic of its first block is compared, too.
        if matches!(bytes, [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]) {
            return Some(Self::Bzip2);
        }
        if bytes.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) {
            return Some(Self::Tar);
        }
        // UTF-16 without a byte order mark: every second byte of Latin letters and digits is NUL.
        match bytes {
            [a, Self::NUL, b, Self::NUL, ..] | [Self::NUL, a, Self::NUL, b, ..]
                if *a != Self::NUL && *b != Self::NUL =>
            {
                Some(Self::Utf16)
            }
            _ => None,
        }
    }
}

/// Names the kind and says how to mend the file; the text continues a sentence after "is".
impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tar => "a tar archive; unpack it and use the text file in it",
            Self::Zip => {
                "a zip archive, or a spreadsheet such as .xlsx; unpack it, or save the spreadsheet as CSV UTF-8"
            }
            Self::OldExcel => "a spreadsheet of old Excel; save it as CSV UTF-8",
            Self::Gzip => "gzip; unpack it first",
            Self::Bzip2 => "compressed by bzip2; unpack it first",
            Self::Xz => "compressed by xz; unpack it first",
            Self::Zstandard => "compressed by zstd; unpack it first",
            Self::SevenZip => "a 7z archive; unpack it and use the text file in it",
            Self::Pdf => "a PDF; use a plain text file",
            Self::Utf16 => "UTF-16; save it as UTF-8",
            Self::Utf32 => "UTF-32; save it as UTF-8",
            Self::Nul => "a NUL byte, which no text has; save it as plain text in UTF-8",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_taken_for_something_else() {
        for text in [
            &b""[..],
            b"B",
            b"BZh9\nBZhBZh12\n",
            b"7zXZ7zXZ\n",
            b"PKPKPKPK\n",
            b"\xef\xbb\xbfHAPPYHRS\n",
            "id,name,price,category\n1,Café ÿþ,1,Drinks\n".as_bytes(),
            &[b'A'; 257],
            &b"AAAAAAAA\n".repeat(100),
        ] {
            assert_eq!(Binary::beginning(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_told_by_its_beginning() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let utf16_be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        let utf32 = "\u{feff}HAPPYHRS".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>();
        let tar = [&[b'A'; 257][..], b"ustar\0"].concat();
        for (bytes, expected) in [
            (utf16("\u{feff}HAPPYHRS\n"), Binary::Utf16),
            (utf16_be("\u{feff}HAPPYHRS\n"), Binary::Utf16),
            (utf16("HAPPYHRS\n"), Binary::Utf16),
            (utf16_be("id,name\n"), Binary::Utf16),
            (utf32, Binary::Utf32),
            (tar, Binary::Tar),
            (b"PK\x03\x04\x14\0".to_vec(), Binary::Zip),
            (b"\x1f\x8b\x08\0".to_vec(), Binary::Gzip),
            (b"BZh91AY&SY\xaa".to_vec(), Binary::Bzip2),
            (b"\xfd7zXZ\0\0".to_vec(), Binary::Xz),
            (b"\x28\xb5\x2f\xfd\x04".to_vec(), Binary::Zstandard),
        ] {
            assert_eq!(Binary::beginning(&bytes), Some(expected));
        }
    }
}

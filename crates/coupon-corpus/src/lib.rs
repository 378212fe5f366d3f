//! The coupon codes found in at least N of a set of files.
//!
//! So far this says what a code of the corpus is; reading the files comes with the loader's coupon sets.

/// Whether `text` is a code of the corpus: 8 to 10 characters, upper-case ASCII letters and digits.
pub fn is_code(text: &[u8]) -> bool {
    (8..=10).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_8_to_10_characters() {
        for code in ["HAPPYHRS", "BUYGETON", "OVER90001", "FIFTYOFF10"] {
            assert!(is_code(code.as_bytes()), "{code}");
        }
        for text in ["", "SEVENCH", "ELEVENCHARS", "happyhrs", "HAPPY HR", "HAPPYHR\u{c9}"] {
            assert!(!is_code(text.as_bytes()), "{text}");
        }
    }
}

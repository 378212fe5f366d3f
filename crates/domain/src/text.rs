//! Comparing texts that people type. The same letter can be written as one character or as two, and keyboards differ.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The text in Unicode's normalization form C: equal texts are equal bytes.
pub fn normalized(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// The text as searches compare it: normalized, and upper and lower case alike.
pub fn folded(text: &str) -> String {
    // Normalized last: the lower-case forms of some letters are two characters.
    normalized(&text.to_lowercase()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_letters_are_equal_however_they_are_written() {
        for (one, other) in [
            ("Jalapen\u{303}o", "Jalapeño"),
            ("Cafe\u{301}", "Café"),
            ("\u{212b}l", "Ål"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("o\u{302}\u{323}", "ộ"),
        ] {
            assert_ne!(one, other);
            assert_eq!(normalized(one), normalized(other), "{other}");
            assert_eq!(folded(one), folded(&other.to_uppercase()), "{other}");
        }
        assert_ne!(folded("Jalapeno"), folded("Jalapeño"));
        assert_eq!(normalized("SAVE10"), "SAVE10");
    }
}

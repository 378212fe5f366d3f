//! What the text of a cell says. Spreadsheets write one thing in several ways; what has a single meaning is read.

use domain::Scopes;

/// `true` or `false` in any case. Numbers are refused: `1` may have slipped over from the next column. So are the words
/// of other languages: there is no end to them.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A name of several words as files, tables and messages have it: `Free lowest` and `FREE-LOWEST` are `free_lowest`.
pub(crate) fn name(text: &str) -> String {
    let words =
        text.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-')).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// Scopes in any case, with blanks, commas or semicolons between them. `None` if one of them is unknown.
pub(crate) fn scopes(text: &str) -> Option<Scopes> {
    let scopes = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    scopes.map(name).collect::<Vec<_>>().join(" ").parse().ok()
}

/// A whole number without the decimals that a cell's format adds: `5` for `5.00`. Three of them may mean thousands.
pub(crate) fn whole(text: &str) -> &str {
    let number = text.strip_suffix(".00").or_else(|| text.strip_suffix(".0"));
    number.filter(|number| number.ends_with(|last: char| last.is_ascii_digit())).unwrap_or(text)
}

/// A percentage without its sign: `18` for `18%` and `18 %`.
pub(crate) fn percent(text: &str) -> &str {
    text.strip_suffix('%').map_or(text, str::trim_end)
}

#[cfg(test)]
mod tests {
    use domain::Scope;

    use super::*;

    #[test]
    fn truth_is_read_in_any_case() {
        for text in ["true", "TRUE", "True", "tRuE"] {
            assert_eq!(truth(text), Some(true), "{text}");
        }
        for text in ["false", "FALSE", "False"] {
            assert_eq!(truth(text), Some(false), "{text}");
        }
        for text in ["", "1", "0", "yes", "x", "t", "WAHR", "FAUX", "true false", "ＴＲＵＥ", "1.00"] {
            assert_eq!(truth(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_with_blanks() {
        for text in [
            "free_lowest",
            "FREE_LOWEST",
            "Free lowest",
            "free-lowest",
            " Free \u{a0} Lowest ",
            "free _ lowest",
        ] {
            assert_eq!(name(text), "free_lowest", "{text}");
        }
        assert_eq!(name("FIXED"), "fixed");
        assert_ne!(name("freelowest"), "free_lowest");
    }

    #[test]
    fn scopes_are_read_in_any_case_and_with_any_separator() {
        for text in [
            "create_order read_orders",
            "Create_Order  READ_ORDERS",
            "create_order,read_orders",
            "read_orders ; create_order,",
            "create-order\u{a0}read-orders",
            "create_order\nread_orders\nread_orders",
        ] {
            assert_eq!(scopes(text).unwrap().to_string(), "create_order read_orders", "{text}");
        }
        assert!(scopes("Admin").unwrap().allow(Scope::ManageMenu));
        assert_eq!(scopes(" , "), Some(Scopes::default()));
        for text in ["everything", "create order", "admin|read_orders", "create_order_read_orders", "ádmin"]
        {
            assert_eq!(scopes(text), None, "{text}");
        }
    }

    #[test]
    fn decimals_that_a_format_adds_are_left_out() {
        for (text, expected) in [("5", "5"), ("5.0", "5"), ("5.00", "5"), ("-5.00", "-5"), ("1200.0", "1200")]
        {
            assert_eq!(whole(text), expected, "{text}");
        }
        for text in ["5.000", "5.50", "5.", ".0", ".00", "5,00", "", "-.0", "5.0.0"] {
            assert!(whole(text).parse::<i64>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_percentage_may_have_its_sign() {
        for text in ["18", "18%", "18 %", "18\u{202f}%"] {
            assert_eq!(percent(text), "18", "{text}");
        }
        assert_eq!(percent("%"), "");
        assert_eq!(percent("18%%"), "18%");
    }
}

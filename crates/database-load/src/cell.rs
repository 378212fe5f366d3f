//! Reads the text of cells. Spreadsheets write one value in several ways; a text with only one meaning is accepted.

use domain::Scopes;

/// Reads `true` or `false` in any letter case. Numbers are refused: `1` may have slipped over from the next column.
/// Words of other languages are refused, too: their list would never end.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Brings a name into the form that files, tables and messages use: `Free lowest` and `FREE-LOWEST` become
/// `free_lowest`.
pub(crate) fn name(text: &str) -> String {
    let words =
        text.split(|c: char| c.is_whitespace() || matches!(c, '_' | '-')).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// Reads scopes in any letter case, with blanks, commas or semicolons between them. Returns `None` if one is unknown.
pub(crate) fn scopes(text: &str) -> Option<Scopes> {
    let scopes = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    scopes.map(name).collect::<Vec<_>>().join(" ").parse().ok()
}

/// Removes the decimals that a cell's format adds to a whole number: `5.00` becomes `5`. Three decimals stay, because
/// `5.000` may mean five thousand.
pub(crate) fn whole(text: &str) -> &str {
    let number = text.strip_suffix(".00").or_else(|| text.strip_suffix(".0"));
    number.filter(|number| number.ends_with(|last: char| last.is_ascii_digit())).unwrap_or(text)
}

/// Removes the sign of a percentage: `18%` and `18 %` become `18`.
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

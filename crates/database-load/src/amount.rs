//! Amounts of bytes, as people and Kubernetes write them.

use std::fmt;

/// Reads an amount of bytes: `67108864`, `512MiB`, `1.5Gi`, `500M`, `4e9`. A part of a byte counts as a whole one.
/// Returns `None` for other texts, and for amounts above [`u64::MAX`]. `500MB` is refused: some people mean `500M` by
/// it, others `500Mi`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, decimals) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() {
        return None;
    }
    let (factor, divisor) = factor(unit.trim_start())?;
    let divisor = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?.checked_mul(divisor)?;
    let amount = format!("{whole}{decimals}").parse::<u128>().ok()?.checked_mul(factor)?;
    u64::try_from(amount.div_ceil(divisor)).ok()
}

/// The factor and the divisor that a unit stands for.
fn factor(unit: &str) -> Option<(u128, u128)> {
    let exponent = unit.strip_prefix(['e', 'E']).filter(|exponent| !exponent.is_empty());
    if let Some(exponent) = exponent
        && exponent.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some((10_u128.checked_pow(exponent.parse().ok()?)?, 1));
    }
    let prefixes = ["k", "M", "G", "T", "P", "E"];
    let of = |base: u128, prefix: &str| {
        let at = prefixes.iter().position(|name| name.eq_ignore_ascii_case(prefix))?;
        base.checked_pow(u32::try_from(at).ok()? + 1)
    };
    match unit {
        "" | "B" => Some((1, 1)),
        // Thousandths: Kubernetes accepts them, and writes some amounts in them.
        "m" => Some((1, 1000)),
        "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" | "KiB" | "MiB" | "GiB" | "TiB" | "PiB" | "EiB" => {
            Some((of(1024, &unit[..1])?, 1))
        }
        _ if prefixes.contains(&unit) => Some((of(1000, unit)?, 1)),
        _ => None,
    }
}

/// Writes an amount in the largest unit that leaves a whole number.
pub(crate) fn write(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(bits, _)| bytes > 0 && bytes.trailing_zeros() >= *bits) {
        Some((bits, unit)) => write!(f, "{}{unit}", bytes >> bits),
        None if bytes == 1 => f.write_str("1 byte"),
        None => write!(f, "{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        for (text, expected) in [
            ("0", 0),
            ("67108864", 64 << 20),
            ("67108864B", 64 << 20),
            ("10Ki", 10 << 10),
            ("10Mi", 10 << 20),
            ("512MiB", 512 << 20),
            ("1 GiB", 1 << 30),
            ("4Gi", 4 << 30),
            ("1.5Gi", 3 << 29),
            ("0.5Mi", 1 << 19),
            ("2Ti", 2 << 40),
            ("7Ei", 7 << 60),
            ("1k", 1000),
            ("500M", 500_000_000),
            ("4G", 4_000_000_000),
            ("1.25G", 1_250_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("4e9", 4_000_000_000),
            ("12E6", 12_000_000),
            ("1.5", 2),
            ("128974848000m", 128_974_848),
            ("1m", 1),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1Gi",
            "+1Gi",
            "1,5Gi",
            "5.",
            ".5Gi",
            "1.2.3",
            "512MB",
            "4GB",
            "4gi",
            "4mi",
            "4K",
            "4 Gi B",
            "4GiBB",
            "1e",
            "1e-3",
            "1e+3",
            "1e99",
            "16Ei",
            "99999999999GiB",
            "lots",
            "10 Mi x",
            "٣Mi",
        ] {
            // "1e" has no exponent, and "e" is not a unit.
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}

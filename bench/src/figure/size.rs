//! Sizes as people write and read them.

/// A whole number that a flag of its kind holds, and TOML too.
///
/// # Errors
/// A sentence, if it is none.
pub fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let most = (u64::MAX >> (64 - 8 * size_of::<T>())).min(i64::MAX as u64);
    let number = text.parse().ok().filter(|number| *number <= most);
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("write a whole number from 0 to {most}"))
}

/// A number of bytes with an optional K, M, G or T.
///
/// # Errors
/// A sentence, if it is none.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((end, 'k' | 'K')) => (&text[..end], 10),
        Some((end, 'm' | 'M')) => (&text[..end], 20),
        Some((end, 'g' | 'G')) => (&text[..end], 30),
        Some((end, 't' | 'T')) => (&text[..end], 40),
        _ => (text, 0),
    };
    let most = i64::MAX >> shift;
    let number = digits.parse().ok().filter(|number| *number <= most.unsigned_abs());
    number.map(|number: u64| number << shift).ok_or_else(|| {
        format!("write bytes as a number, or with K, M, G or T: 64M; {} are the most", i64::MAX)
    })
}

/// `4 KiB` for order 0, `2 MiB` for order 9.
#[must_use]
pub fn block(order: u8) -> String {
    let kib = 4_u64 << order.min(10);
    if kib < 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_does_not_fit_is_told_what_would() {
        assert_eq!((whole("255"), whole::<u64>("9223372036854775807")), (Ok(255_u8), Ok(i64::MAX as u64)));
        for text in ["256", "-1", "18446744073709551616", "", "1.5"] {
            assert_eq!(whole::<u8>(text), Err("write a whole number from 0 to 255".to_owned()), "{text}");
        }
        assert!(whole::<u64>("18446744073709551615").unwrap_err().ends_with("9223372036854775807"));
    }

    #[test]
    fn bytes_have_suffixes() {
        assert_eq!(bytes("64M"), Ok(64 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!((bytes("2g"), bytes("1T")), (Ok(2 << 30), Ok(1 << 40)));
        for bad in ["", "M", "x", "-1", "99999999999G", "99999999999T", "18446744073709551615", "1.5G", "64µ"]
        {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}

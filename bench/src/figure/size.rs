//! Sizes as people write and read them.

/// A number of bytes with an optional K, M or G.
///
/// # Errors
/// A sentence, if it is none.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((end, 'k' | 'K')) => (&text[..end], 10),
        Some((end, 'm' | 'M')) => (&text[..end], 20),
        Some((end, 'g' | 'G')) => (&text[..end], 30),
        _ => (text, 0),
    };
    let number: u64 =
        digits.parse().map_err(|_| "write bytes as a number, or with K, M or G: 64M".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than there are".to_owned())
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
    fn bytes_have_suffixes() {
        assert_eq!(bytes("64M"), Ok(64 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("2g"), Ok(2 << 30));
        for bad in ["", "M", "x", "-1", "99999999999G", "1.5G", "64µ"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}

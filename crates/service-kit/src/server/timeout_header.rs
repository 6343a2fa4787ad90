//! The header that carries a call's time-out, as the gRPC protocol over HTTP/2 writes it.

use std::time::Duration;

/// Its name.
pub const NAME: &str = "grpc-timeout";

/// The time-out that `text` means: 1 to 8 digits and a unit.
pub fn read(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// `timeout` as the value of the header: in milliseconds where 8 digits hold them (about a day), else in seconds.
pub fn format(timeout: Duration) -> String {
    let millis = timeout.as_millis();
    if millis <= 99_999_999 {
        format!("{millis}m")
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_written_timeout_is_read_back(millis in 0_u64..10_000_000_000) {
            let timeout = Duration::from_millis(millis);
            let again = read(&format(timeout)).unwrap();
            prop_assert!(again <= timeout && timeout < again + Duration::from_secs(1));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = read(&text);
        }
    }
}

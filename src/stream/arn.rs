//! Names of streams as AWS writes them.

use std::fmt;

use crate::model::TableName;

/// The region in every ARN and record: client libraries insist on a real one.
pub const REGION: &str = "us-east-1";
/// The region and account in every ARN: client libraries insist on twelve digits.
const ACCOUNT: &str = "arn:aws:dynamodb:us-east-1:000000000000";

/// `arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE/stream/LABEL`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamArn {
    /// The table.
    pub table: TableName,
    /// When the stream was asked for, ms since 1970: its label in another form.
    pub stream_ms: u64,
}

impl StreamArn {
    /// Parses an ARN; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(ACCOUNT)?.strip_prefix(":table/")?;
        let (table, label) = rest.split_once("/stream/")?;
        Some(Self { table: TableName::parse(table).ok()?, stream_ms: parse_label(label)? })
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ACCOUNT}:table/{}/stream/{}", self.table, label_of(self.stream_ms))
    }
}

/// The ARN of a table.
pub fn table_arn(table: &TableName) -> String {
    format!("{ACCOUNT}:table/{table}")
}

/// The name in the ARN of a table, not looked at; `None` if it is none of ours.
pub fn table_in_arn(text: &str) -> Option<&str> {
    text.strip_prefix(ACCOUNT)?.strip_prefix(":table/")
}

/// A time as a stream label: ISO 8601, UTC, milliseconds, no zone suffix.
pub fn label_of(ms: u64) -> String {
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}")
}

fn parse_label(label: &str) -> Option<u64> {
    let bytes = label.as_bytes();
    if bytes.len() != 23 {
        return None;
    }
    let number = |from: usize, to: usize| label.get(from..to)?.parse::<u64>().ok();
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let in_day = ((number(11, 13)? * 60 + number(14, 16)?) * 60 + number(17, 19)?) * 1000 + number(20, 23)?;
    let ms = days * 86_400_000 + in_day;
    (label_of(ms) == label).then_some(ms)
}

/// Days since 1970 to a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year_in_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_in_era + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil`]; `None` before 1970 or for numbers out of range.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (era, in_era) = (year / 400, year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let in_year = (153 * shifted + 2) / 5 + day - 1;
    let in_era_days = in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    Some(era * 146_097 + in_era_days - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_labels() {
        for (ms, label) in [
            (0, "1970-01-01T00:00:00.000"),
            (951_782_400_000, "2000-02-29T00:00:00.000"),
            (1_431_379_293_291, "2015-05-11T21:21:33.291"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999"),
        ] {
            assert_eq!(label_of(ms), label);
            assert_eq!(parse_label(label), Some(ms));
        }
        for bad in [
            "",
            "2015-05-11T21:21:33",
            "2015-13-11T21:21:33.291",
            "2015-02-30T00:00:00.000",
            "2015-05-11 21:21:33.291",
        ] {
            assert_eq!(parse_label(bad), None, "{bad}");
        }
    }

    #[test]
    fn arns_parse_back() {
        let arn =
            StreamArn { table: TableName::parse("my.table").expect("valid"), stream_ms: 1_431_379_293_291 };
        let text = "arn:aws:dynamodb:us-east-1:000000000000:table/my.table/stream/2015-05-11T21:21:33.291";
        assert_eq!(arn.to_string(), text);
        assert_eq!(StreamArn::parse(text), Some(arn));
        for bad in
            ["", "arn:aws:dynamodb:us-east-1:000000000000:table/my.table", &text.replace("my.table", "x")]
        {
            assert_eq!(StreamArn::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn labels_round_trip(ms in 0u64..253_402_300_800_000) {
            prop_assert_eq!(parse_label(&label_of(ms)), Some(ms));
        }

        #[test]
        fn hostile_labels_never_panic(text in ".{0,30}") {
            let _ = parse_label(&text);
        }
    }
}

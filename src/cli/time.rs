//! Durations and times as people write them.

use std::time::Duration;

const MS_PER_DAY: i64 = 86_400_000;

/// A duration: numbers with units ms, s, m, h, d, as in "500ms", "1.5s" or "1h30m".
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is not a duration; say 500ms, 10s, 5m, 24h or 1h30m");
    let mut total_ms = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(wrong)?;
        let amount: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let (unit_ms, len) = match rest {
            _ if rest.starts_with("ms") => (1.0, 2),
            _ if rest.starts_with('s') => (1e3, 1),
            _ if rest.starts_with('m') => (60e3, 1),
            _ if rest.starts_with('h') => (3600e3, 1),
            _ if rest.starts_with('d') => (MS_PER_DAY as f64, 1),
            _ => return Err(wrong()),
        };
        total_ms += amount * unit_ms;
        rest = &rest[len..];
    }
    Duration::try_from_secs_f64(total_ms / 1e3).map_err(|_| wrong())
}

/// A time as RFC 3339 writes it ("2026-01-31T12:00:00.5+01:00"), in milliseconds since 1970.
pub(super) fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_at_checked(10)?;
    let date: Vec<i64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = date[..] else { return None };
    let time = time.strip_prefix(['T', 't', ' '])?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let clock: Vec<i64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || fraction.is_empty() {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range {
        return None;
    }
    let minutes = hour * 60 + minute - parse_zone(zone)?;
    u64::try_from(days_since_1970(year, month, day) * MS_PER_DAY + minutes * 60_000 + second * 1000 + ms).ok()
}

/// Milliseconds since 1970 as RFC 3339, in UTC.
pub(super) fn format_rfc3339(at_ms: u64) -> String {
    let (days, rest) = (at_ms as i64 / MS_PER_DAY, at_ms as i64 % MS_PER_DAY);
    let (year, month, day) = date_of(days);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, ms) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// A duration in milliseconds for people: in its largest unit without fraction.
pub(super) fn format_ms(ms: u64) -> String {
    for (unit_ms, unit) in [(3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if ms > 0 && ms.is_multiple_of(unit_ms) {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}

/// Minutes east of Greenwich.
fn parse_zone(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let minutes: i64 = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    (rest.len() == 5 && (0..24 * 60).contains(&minutes)).then_some(if sign == "-" {
        -minutes
    } else {
        minutes
    })
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_since_1970(next_year, next_month, 1) - days_since_1970(year, month, 1)
}

/// Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Its inverse.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A length of time for people, from milliseconds.
pub(super) fn short_duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1.5s", 1500),
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "10", "s", "10x", "-1s", "1..5s", "1s2", "1e3s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(format_ms(86_400_000), "24h");
        assert_eq!(format_ms(1500), "1500ms");
        assert_eq!(format_ms(0), "0ms");
    }

    #[test]
    fn times() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-05-09T07:32:38.186Z", 1_778_311_958_186),
            ("2026-05-09T09:32:38.186+02:00", 1_778_311_958_186),
            ("2026-05-09 02:02:38.1869-05:30", 1_778_311_958_186),
        ] {
            assert_eq!(parse_rfc3339(text), Some(ms), "{text}");
        }
        for bad in [
            "",
            "now",
            "2026-05-09",
            "2026-05-09T07:32:38",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-05-09T24:00:00Z",
            "2026-05-09T00:00Z",
            "2026-05-09T00:00:00+0200",
            "1969-12-31T23:59:59Z",
            "2026-05-09T00:00:00.Z",
            "äöüäöü",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_survive() {
        for ms in (0..4_102_444_800_000).step_by(12_345_678_901) {
            assert_eq!(parse_rfc3339(&format_rfc3339(ms)), Some(ms));
        }
    }
}

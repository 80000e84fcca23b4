//! Instants as dates: the Gregorian calendar, in UTC, and the part of ISO 8601 that clients write.

const SECS_PER_DAY: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01. Years that begin in March have the leap day at their end.
const EPOCH_DAYS: u64 = 719_468;
/// Days in the 400 years after which the calendar repeats.
const ERA_DAYS: u64 = 146_097;

/// The last second of the year 9999, the last that this format can write.
const SECS_MAX: u64 = 253_402_300_799;

/// `YYYY-MM-DDTHH:MM:SS` of seconds since the Unix epoch.
pub(crate) fn date_time(secs: u64) -> String {
    let (days, second) = (secs / SECS_PER_DAY + EPOCH_DAYS, secs % SECS_PER_DAY);
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let leaps = day_of_era / 1_460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Seconds since the Unix epoch of `YYYY-MM-DD`, or of that with `THH:MM`, seconds, a fraction
/// (which is cut off) and an offset. `None`: something else, or before the epoch.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let days = days_of(date)?;
    let Some(time) = time else {
        return Some(days * SECS_PER_DAY);
    };
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let local = days * SECS_PER_DAY + second_of_day(time)?;
    let secs = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => local,
        Some(("+", offset)) => local.checked_sub(offset_secs(offset)?)?,
        Some(("-", offset)) => local + offset_secs(offset)?,
        Some(_) => return None,
    };
    (secs <= SECS_MAX).then_some(secs)
}

/// Days since the Unix epoch.
fn days_of(date: &str) -> Option<u64> {
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let (month, day) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let day_max = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=day_max).contains(&day) || year < 1970 {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * ERA_DAYS + day_of_era).checked_sub(EPOCH_DAYS)
}

fn second_of_day(time: &str) -> Option<u64> {
    let (whole, fraction) = time.split_once(['.', ',']).unwrap_or((time, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut parts = whole.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |text| digits(text, 2))?;
    let exists = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    exists.then_some(hour * 3_600 + minute * 60 + second)
}

/// `HH`, `HHMM` or `HH:MM`.
fn offset_secs(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let minutes = if minutes.is_empty() && text.len() == 2 {
        0
    } else {
        digits(minutes, 2)?
    };
    let hours = digits(hours, 2)?;
    (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read_back() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_795_331_931, "2026-11-22T07:18:51"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (SECS_MAX, "9999-12-31T23:59:59"),
        ] {
            assert_eq!((date_time(secs).as_str(), parse(text)), (text, Some(secs)));
        }
        for day in 0..60_000 {
            let secs = day * SECS_PER_DAY + day;
            assert_eq!(parse(&date_time(secs)), Some(secs));
        }
    }

    #[test]
    fn one_instant_has_many_spellings() {
        for text in [
            "2026-11-22T07:18:51Z",
            "2026-11-22 07:18:51.999",
            "2026-11-22T08:18:51+01",
            "2026-11-22T08:48:51+01:30",
            "2026-11-21T23:18:51-0800",
        ] {
            assert_eq!(parse(text), Some(1_795_331_931), "{text}");
        }
        assert_eq!(parse("2026-11-22T07:18"), Some(1_795_331_880));
        assert_eq!(parse("2026-11-22"), Some(1_795_305_600));
    }

    #[test]
    fn other_texts_are_no_dates() {
        for text in [
            "",
            "3600",
            "20261122",
            "2026-13-01",
            "2026-02-29",
            "2026-11-22T",
            "2026-11-22T24:00:00",
            "2026-11-22T07",
            "2026-11-22T07:18:51.",
            "2026-11-22T07:18:51X",
            "2026-11-22T07:18:51Z1",
            "2026-11-22T07:18:51+",
            "2026-11-22T07:18:51+01:",
            "2026-11-22T07:18:51+1:00",
            "1969-12-31",
            "9999-12-31T23:59:59-01",
            "+026-11-22",
            "é026-11-22",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

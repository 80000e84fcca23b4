//! Instants as pre-signed URLs write them: `YYYY-MM-DDTHH:MM:SS`, in UTC.

/// Seconds since the Unix epoch; `None` if the text has another form.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let numbers = |text: &str, mark: char| {
        let all = text.split(mark).map(|one| one.parse::<i64>().ok());
        all.collect::<Option<Vec<i64>>>()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    match (date.as_slice(), time.as_slice()) {
        (&[year, month, day], &[hour, minute, second]) => {
            Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
        }
        _ => None,
    }
}

/// The text for an instant after the Unix epoch.
pub(super) fn date_time(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's `civil_from_days`: years begin in March, so that leap days end them.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Days since the Unix epoch.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_they_are_written() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00");
        assert_eq!(date_time(951_782_399), "2000-02-28T23:59:59");
        assert_eq!(date_time(951_782_400), "2000-02-29T00:00:00");
        for at in [0, 951_782_400, 1_767_225_600, 32_503_680_000, 4_102_444_799] {
            assert_eq!(seconds(&date_time(at)), Some(at));
        }
        assert_eq!(seconds("2026-01-01"), None);
        assert_eq!(seconds("x-01-01T00:00:00"), None);
    }
}

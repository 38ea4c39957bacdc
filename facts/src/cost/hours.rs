//! Which hours CPU time belongs to.

use std::time::{Duration, SystemTime};

const NANOS: i128 = 3_600_000_000_000;

/// Hours of a day, of which there are no others in UTC.
const DAY: i64 = 24;

/// Whole days for which hours are kept apart, besides today. 10,000 nodes that emulate in five
/// containers around the clock make 3.6 million rows in three days; kept for 90 days these would be a
/// hundred million, as days they are 4.5 million.
const DAYS_BY_HOUR: i64 = 2;

/// How far back CPU time is spread that is told late. It bounds the number of rows that one update makes
/// (three days by hour, the rest by day); what is longer ago than stores keep anything is not asked for.
const FURTHEST: Duration = Duration::from_secs(90 * 24 * 3600);

/// An hour in UTC, counted from the first of 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour that a time is in; times before 1970 are in the first.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        Self::at(nanos(time))
    }

    fn at(nanos: i128) -> Self {
        Self(i64::try_from(nanos.div_euclid(NANOS)).unwrap_or(i64::MAX))
    }

    /// When it begins.
    #[must_use]
    pub fn start(self) -> SystemTime {
        let secs = u64::try_from(self.0)
            .unwrap_or_default()
            .saturating_mul(3600);
        let start = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs));
        start.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The day it is in, counted from the first of 1970.
    #[must_use]
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The first hour of a day.
    #[must_use]
    pub fn of_day(day: i64) -> Self {
        Self(day.saturating_mul(DAY))
    }

    /// A day as people write it, such as `2026-01-31`.
    #[must_use]
    pub fn date_of_day(day: i64) -> String {
        // Years that begin in March, in eras of 400 of them:
        // <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
        let shifted = day.saturating_add(719_468);
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let date = of_year - (153 * month + 2) / 5 + 1;
        let (month, more) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        format!("{:04}-{month:02}-{date:02}", year + era * 400 + more)
    }

    /// The one behind it.
    #[must_use]
    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Hours before this one are kept as days, seen from `now`. Until then, whose a cgroup is may still
    /// become known.
    #[must_use]
    pub fn folded_before(now: SystemTime) -> Self {
        Self::of_day(Self::of(now).day().saturating_sub(DAYS_BY_HOUR))
    }
}

/// Hours that are asked for: from the first on, up to and without the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first one.
    pub from: Hour,
    /// The one behind the last.
    pub to: Hour,
}

impl Span {
    /// The least that holds all from `since` to `until` and can be told at `now`: whole hours, and whole
    /// days where hours are not kept apart any more.
    #[must_use]
    pub fn of(since: Option<SystemTime>, until: Option<SystemTime>, now: SystemTime) -> Self {
        let folded = Hour::folded_before(now);
        let from = since.map_or(Hour(0), Hour::of);
        let from = if from < folded {
            Hour::of_day(from.day())
        } else {
            from
        };
        let until = until.unwrap_or(now);
        let to = Hour::of(until);
        let to = if to.start() < until { to.next() } else { to };
        let to = if to < folded && to != Hour::of_day(to.day()) {
            Hour::of_day(to.day().saturating_add(1))
        } else {
            to
        };
        Self {
            from,
            to: to.max(from),
        }
    }

    /// The first day of which something may be asked for.
    #[must_use]
    pub fn first_day(self) -> i64 {
        self.from.day()
    }

    /// The day behind the last that is asked for as a whole or in part.
    #[must_use]
    pub fn end_day(self) -> i64 {
        let day = self.to.day();
        if self.to == Hour::of_day(day) {
            day
        } else {
            day.saturating_add(1)
        }
    }
}

/// Spreads CPU time that was used between `since` and `until` evenly over the hours between: nobody knows
/// better. Hours that are kept as days at `until` are told as the first of their day. The pieces sum up to
/// `cpu_ns`, which may be negative: a counter that went back takes back.
#[must_use]
pub fn spread(cpu_ns: i64, since: SystemTime, until: SystemTime) -> Vec<(Hour, i64)> {
    if cpu_ns == 0 {
        return Vec::new();
    }
    let furthest = until
        .checked_sub(FURTHEST)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let (first, end) = (nanos(since.max(furthest).min(until)), nanos(until));
    if Hour::at(first) == Hour::at(end) {
        return vec![(Hour::at(end), cpu_ns)];
    }
    let folded = Hour::folded_before(until);
    let length = end - first;
    // The sum up to each boundary is rounded, not the pieces: so nothing is lost.
    let up_to = |time: i128| i64::try_from(i128::from(cpu_ns) * (time - first) / length);
    let (mut pieces, mut time, mut spent) = (Vec::new(), first, 0_i64);
    while time < end {
        let hour = Hour::at(time);
        let (bucket, next) = if hour < folded {
            let day = hour.day();
            (Hour::of_day(day), Hour::of_day(day + 1))
        } else {
            (hour, hour.next())
        };
        time = (i128::from(next.0) * NANOS).min(end);
        let sum = up_to(time).unwrap_or(cpu_ns);
        if sum != spent {
            pieces.push((bucket, sum - spent));
        }
        spent = sum;
    }
    pieces
}

fn nanos(time: SystemTime) -> i128 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many minutes after midnight of day 1000.
    fn at(minutes: u64) -> SystemTime {
        Hour::of_day(1000).start() + Duration::from_secs(minutes * 60)
    }

    /// Days and hours behind the first one.
    const fn hour(days: i64, hours: i64) -> Hour {
        Hour((1000 + days) * 24 + hours)
    }

    fn check(cpu_ns: i64, since: u64, until: u64, pieces: &[(Hour, i64)]) {
        assert_eq!(
            spread(cpu_ns, at(since), at(until)),
            pieces,
            "{cpu_ns} from {since} to {until}"
        );
    }

    #[test]
    fn what_is_told_late_is_spread_over_its_hours() {
        check(0, 0, 600, &[]);
        check(100, 10, 20, &[(hour(0, 0), 100)]);
        check(100, 30, 30, &[(hour(0, 0), 100)]);
        // A clock that is ahead.
        check(100, 500, 20, &[(hour(0, 0), 100)]);
        check(100, 30, 60 + 30, &[(hour(0, 0), 50), (hour(0, 1), 50)]);
        check(100, 30, 60, &[(hour(0, 0), 100)]);
        check(1, 0, 180, &[(hour(0, 2), 1)]);
        check(
            -90,
            0,
            180,
            &[(hour(0, 0), -30), (hour(0, 1), -30), (hour(0, 2), -30)],
        );
    }

    #[test]
    fn what_is_told_days_late_is_spread_over_days() {
        let day = 24 * 60;
        // From noon of the first day to 01:00 of the fourth: one day whose hours are not kept, then hours.
        let pieces = spread(61 * 7, at(day / 2), at(3 * day + 60));
        assert_eq!(pieces[0], (hour(0, 0), 12 * 7));
        assert_eq!(pieces.len(), 1 + 49);
        assert!(pieces[1..].iter().all(|(_, cpu)| *cpu == 7));
        assert_eq!(pieces[49].0, hour(3, 0));
        // However long ago it began, one update makes few rows.
        let pieces = spread(i64::MAX, SystemTime::UNIX_EPOCH, at(0));
        assert!(pieces.len() < 90 + 72 && pieces[0].0 == hour(-90, 0));
        let sum: i128 = pieces.iter().map(|(_, cpu)| i128::from(*cpu)).sum();
        assert_eq!(sum, i128::from(i64::MAX));
    }

    #[test]
    fn days_have_dates() {
        for (day, date) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_782, "2026-11-25"),
            (20_818, "2026-12-31"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
            (-1, "1969-12-31"),
        ] {
            assert_eq!(Hour::date_of_day(day), date);
        }
    }

    #[test]
    fn a_question_is_about_whole_hours_or_days() {
        let day = 24 * 60;
        let now = at(3 * day + 90);
        for (since, until, from, to) in [
            (Some(3 * day + 30), None, hour(3, 0), hour(3, 2)),
            (Some(day + 61), Some(2 * day + 60), hour(1, 1), hour(2, 1)),
            // The first day's hours are not known any more.
            (Some(61), Some(62), hour(0, 0), hour(1, 0)),
            (Some(61), Some(day), hour(0, 0), hour(1, 0)),
            (None, Some(0), Hour(0), hour(0, 0)),
            (Some(3 * day), Some(60), hour(3, 0), hour(3, 0)),
        ] {
            let span = Span::of(since.map(at), until.map(at), now);
            assert_eq!(span, Span { from, to }, "{since:?} {until:?}");
        }
        let span = Span {
            from: hour(1, 1),
            to: hour(2, 1),
        };
        assert_eq!((span.first_day(), span.end_day()), (1001, 1003));
    }
}

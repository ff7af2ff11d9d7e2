//! AWS's six-field cron: minutes, hours, day of month, month, day of week, year, in UTC.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use super::ScheduleError;

/// A parsed `cron(…)` expression.
///
/// Days of the week are 1 (Sunday) to 7; `?`, `L`, `W` and `#` are as in AWS's documentation:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<i16>,
    hours: Vec<i16>,
    months: Vec<i16>,
    years: Vec<i16>,
    day: Day,
}

/// The day field that is not `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Day {
    OfMonth(Vec<MonthDay>),
    OfWeek(Vec<WeekDay>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MonthDay {
    Day(i16),
    /// `L`
    Last,
    /// `LW`
    LastWeekday,
    /// `15W`
    NearestWeekday(i16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WeekDay {
    Day(i16),
    /// `6L`
    LastOfMonth(i16),
    /// `3#2`
    NthOfMonth(i16, i16),
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    /// Parses the six fields inside of `cron(…)`.
    pub(super) fn parse(fields: &str) -> Result<Self, ScheduleError> {
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, month_day, month, week_day, year] = parts.as_slice() else {
            return Err(ScheduleError::Value {
                expression: format!("cron({fields})"),
                problem: format!(
                    "cron has six fields (minutes hours day-of-month month day-of-week year), \
                     this has {}",
                    parts.len()
                ),
            });
        };
        let day = match (*month_day, *week_day) {
            ("?", "?") => Err(None),
            (_, "?") => month_days(month_day).map(Day::OfMonth).map_err(Some),
            ("?", _) => week_days(week_day).map(Day::OfWeek).map_err(Some),
            _ => Err(None),
        };
        let day = day.map_err(|error| {
            error.unwrap_or_else(|| ScheduleError::Value {
                expression: format!("cron({fields})"),
                problem: "exactly one of day-of-month and day-of-week must be `?`".to_owned(),
            })
        })?;
        Ok(Self {
            minutes: Field::new("minutes", minutes, 0, 59, &[]).values()?,
            hours: Field::new("hours", hours, 0, 23, &[]).values()?,
            months: Field::new("month", month, 1, 12, &MONTHS).values()?,
            years: Field::new("year", year, 1970, 2199, &[]).values()?,
            day,
        })
    }

    /// The first minute strictly after `time` that matches.
    pub(super) fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let now = Offset::UTC.to_datetime(time);
        let mut date = now.date();
        let mut earliest = Some((i16::from(now.hour()), i16::from(now.minute())));
        let last_year = *self.years.last()?;
        while date.year() <= last_year {
            let month = i16::from(date.month());
            if !self.years.contains(&date.year()) || !self.months.contains(&month) {
                date = date.last_of_month().tomorrow().ok()?;
                earliest = None;
                continue;
            }
            if self.day.matches(date)
                && let Some((hour, minute)) = self.time_after(earliest)
            {
                let hour = i8::try_from(hour).ok()?;
                let time = Time::new(hour, i8::try_from(minute).ok()?, 0, 0).ok()?;
                return Offset::UTC.to_timestamp(date.to_datetime(time)).ok();
            }
            date = date.tomorrow().ok()?;
            earliest = None;
        }
        None
    }

    /// The first time of day after `earliest`, or of the whole day without one.
    fn time_after(&self, earliest: Option<(i16, i16)>) -> Option<(i16, i16)> {
        let times = self
            .hours
            .iter()
            .flat_map(|hour| self.minutes.iter().map(|minute| (*hour, *minute)));
        times
            .filter(|time| earliest.is_none_or(|earliest| *time > earliest))
            .min()
    }
}

impl Day {
    fn matches(&self, date: Date) -> bool {
        let day = i16::from(date.day());
        let last = i16::from(date.days_in_month());
        match self {
            Self::OfMonth(days) => days.iter().any(|one| match one {
                MonthDay::Day(one) => *one == day,
                MonthDay::Last => day == last,
                MonthDay::LastWeekday => day == nearest_weekday(date, last),
                MonthDay::NearestWeekday(one) => *one <= last && day == nearest_weekday(date, *one),
            }),
            Self::OfWeek(days) => {
                let week_day = week_day_of(date);
                days.iter().any(|one| match one {
                    WeekDay::Day(one) => *one == week_day,
                    WeekDay::LastOfMonth(one) => *one == week_day && day + 7 > last,
                    WeekDay::NthOfMonth(one, n) => *one == week_day && (day - 1) / 7 + 1 == *n,
                })
            }
        }
    }
}

/// 1 (Sunday) to 7 (Saturday).
fn week_day_of(date: Date) -> i16 {
    i16::from(date.weekday().to_sunday_one_offset())
}

/// The day of the month, in the same month, of the weekday nearest to `day`.
fn nearest_weekday(date: Date, day: i16) -> i16 {
    let last = i16::from(date.days_in_month());
    let of_first = week_day_of(date.first_of_month());
    match (of_first + day - 2) % 7 + 1 {
        1 if day == last => day - 2,
        1 => day + 1,
        7 if day == 1 => day + 2,
        7 => day - 1,
        _ => day,
    }
}

fn month_days(text: &str) -> Result<Vec<MonthDay>, ScheduleError> {
    let mut days = Vec::new();
    for item in text.split(',') {
        let field = Field::new("day-of-month", item, 1, 31, &[]);
        match item.to_ascii_uppercase().as_str() {
            "L" => days.push(MonthDay::Last),
            "LW" | "WL" => days.push(MonthDay::LastWeekday),
            item if item.ends_with('W') => {
                let day = field.number(item.trim_end_matches('W'))?;
                days.push(MonthDay::NearestWeekday(day));
            }
            _ => days.extend(field.values()?.into_iter().map(MonthDay::Day)),
        }
    }
    Ok(days)
}

fn week_days(text: &str) -> Result<Vec<WeekDay>, ScheduleError> {
    let mut days = Vec::new();
    let whole = Field::new("day-of-week", text, 1, 7, &DAYS);
    if text.contains('#') && text.contains(',') {
        return Err(whole.wrong("with `#` there can be only one expression"));
    }
    for item in text.split(',') {
        let field = Field::new("day-of-week", item, 1, 7, &DAYS);
        let upper = item.to_ascii_uppercase();
        if let Some((day, n)) = item.split_once('#') {
            let n = n.parse().ok().filter(|n| (1..=5).contains(n));
            let n = n.ok_or_else(|| field.wrong("after `#` there must be 1 to 5"))?;
            days.push(WeekDay::NthOfMonth(field.number(day)?, n));
        } else if upper == "L" {
            // alone it is the last day of the week, Saturday
            days.push(WeekDay::Day(7));
        } else if let Some(day) = upper.strip_suffix('L') {
            days.push(WeekDay::LastOfMonth(field.number(day)?));
        } else {
            days.extend(field.values()?.into_iter().map(WeekDay::Day));
        }
    }
    Ok(days)
}

struct Field<'t> {
    name: &'static str,
    text: &'t str,
    least: i16,
    most: i16,
    words: &'t [&'static str],
}

impl<'t> Field<'t> {
    const fn new(
        name: &'static str,
        text: &'t str,
        least: i16,
        most: i16,
        words: &'t [&'static str],
    ) -> Self {
        Self {
            name,
            text,
            least,
            most,
            words,
        }
    }

    fn wrong(&self, problem: &str) -> ScheduleError {
        ScheduleError::Field {
            field: self.name,
            value: self.text.to_owned(),
            problem: problem.to_owned(),
        }
    }

    fn number(&self, text: &str) -> Result<i16, ScheduleError> {
        let word = self
            .words
            .iter()
            .position(|word| word.eq_ignore_ascii_case(text));
        let number = match word {
            Some(index) => i16::try_from(index).ok().map(|index| index + self.least),
            None => text.parse().ok(),
        };
        let within = number.filter(|number| (self.least..=self.most).contains(number));
        within.ok_or_else(|| {
            let words = match self.words {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            self.wrong(&format!("it takes {} to {}{words}", self.least, self.most))
        })
    }

    /// The values of a list of `*`, `5`, `1-5`, `20-2` (around the end), each with an optional
    /// `/step`; in order, each once.
    fn values(&self) -> Result<Vec<i16>, ScheduleError> {
        let mut values = Vec::new();
        for item in self.text.split(',') {
            let (range, step) = match item.split_once('/') {
                None => (item, None),
                Some((range, step)) => {
                    let step = step.parse::<usize>().ok().filter(|step| *step > 0);
                    let step = step.ok_or_else(|| self.wrong("the step after `/` must be > 0"))?;
                    (range, Some(step))
                }
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.most),
                Some((from, to)) => (self.number(from)?, self.number(to)?),
                None if step.is_some() => (self.number(range)?, self.most),
                None => (self.number(range)?, self.number(range)?),
            };
            let step = step.unwrap_or(1);
            if from <= to {
                values.extend((from..=to).step_by(step));
            } else {
                let around = (from..=self.most).chain(self.least..=to);
                values.extend(around.step_by(step));
            }
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

//! HTTP dates, in their one modern form.

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAY_S: u64 = 86_400;

/// Return the seconds since the UNIX epoch of `Sun, 06 Nov 1994 08:49:37 GMT`; `None` for any other form,
/// a date that does not exist, a wrong day of the week, or a year before 1970.
///
//= RFC 9110 section 5.6.7: IMF-fixdate. The two obsolete forms are not read: a date in them is no validator.
#[must_use]
pub fn parse(text: &[u8]) -> Option<u64> {
    let text: &[u8; 29] = text.try_into().ok()?;
    let has_separators = text[3..5] == *b", "
        && [7, 11, 16].iter().all(|&at| text[at] == b' ')
        && text[19] == b':'
        && text[22] == b':'
        && text[25..] == *b" GMT";
    if !has_separators {
        return None;
    }
    let day = number(&text[5..7])?;
    let month = MONTHS.iter().position(|name| **name == text[8..11])? as u64 + 1;
    let year = number(&text[12..16])?;
    let (hour, minute, second) = (number(&text[17..19])?, number(&text[20..22])?, number(&text[23..25])?);
    if year < 1970 || day == 0 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    let is_named_right = *DAYS[(days % 7) as usize] == text[..3];
    is_named_right.then_some(days * DAY_S + hour * 3600 + minute * 60 + second)
}

/// Append a time as IMF-fixdate.
///
/// `seconds` since the UNIX epoch; a year past 9999 is written as its last second.
pub fn write(seconds: u64, out: &mut Vec<u8>) {
    const LAST: u64 = 253_402_300_799;
    let seconds = seconds.min(LAST);
    let days = seconds / DAY_S;
    // An estimate that is never too late, then forward.
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 12;
    while days_before(year, month) > days {
        month -= 1;
    }
    let day = days - days_before(year, month) + 1;
    let second = seconds % DAY_S;
    out.extend_from_slice(DAYS[(days % 7) as usize]);
    out.extend_from_slice(b", ");
    digits(day, 2, out);
    out.push(b' ');
    out.extend_from_slice(MONTHS[month as usize - 1]);
    out.push(b' ');
    digits(year, 4, out);
    out.push(b' ');
    digits(second / 3600, 2, out);
    out.push(b':');
    digits(second / 60 % 60, 2, out);
    out.push(b':');
    digits(second % 60, 2, out);
    out.extend_from_slice(b" GMT");
}

fn digits(value: u64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10u64.pow(place) % 10) as u8);
    }
}

fn number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0')))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970 to the first of a month.
fn days_before(year: u64, month: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|month| days_in(year, month)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn reads_only_the_fixed_form() {
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
        for bad in [
            "",
            "0",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun,  6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +00",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Thu, 29 Feb 1900 00:00:00 GMT",
            "Mon, 29 Feb 2100 00:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(seconds in 0u64..=253_402_300_799) {
            let mut text = Vec::new();
            write(seconds, &mut text);
            prop_assert_eq!(parse(&text), Some(seconds));
        }
    }
}

//! Whether a response may be kept, and for how long.

use super::conditional::Validators;
use super::directives::{Directives, SECONDS_MAX, seconds};
use super::fields::{Fields, members};
use super::vary::{self, VaryNames};
use super::{Meta, Request, Response, Times, date};

/// What to do with a response of the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Keep it once it is complete.
    Keep(Keep),
    /// Hand it on and forget it.
    Pass(Reject),
}

/// How a response is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// When it is fresh.
    pub meta: Meta,
    /// The request fields that chose it.
    pub vary: VaryNames,
}

/// Why a response is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// Not the answer to a plain GET.
    Method,
    /// A part of a representation.
    Partial,
    /// A status that is not kept, whatever its fields say.
    Status,
    /// Its `Cache-Control` cannot be read whole.
    Malformed,
    /// Request or response forbids storing.
    NoStore,
    /// For one person only.
    Private,
    /// It sets a cookie.
    SetCookie,
    /// The request carried credentials and the response is not marked for sharing.
    Authorization,
    /// It varies with something that is no request field, or with too many.
    Vary,
    /// Nothing says how long it is fresh.
    NoFreshness,
    /// Not fresh on arrival, and nothing to confirm it with.
    Expired,
}

impl Reject {
    /// Return the word for metrics and `Cache-Status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Partial => "partial",
            Self::Status => "status",
            Self::Malformed => "malformed",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::SetCookie => "set-cookie",
            Self::Authorization => "authorization",
            Self::Vary => "vary",
            Self::NoFreshness => "no-freshness",
            Self::Expired => "expired",
        }
    }
}

/// Decide whether a response may be kept.
///
/// Freshness is explicit only: `s-maxage` or `max-age`. A response that is stale on arrival (`max-age=0`,
/// `no-cache`, a great `Age`) is kept if it has a validator, to be confirmed for each request.
///
/// `response.fields` are the origin's, or those of [`super::refresh::merge`].
#[must_use]
pub fn store(request: &Request<'_>, response: &Response<'_>, times: Times) -> Store {
    match keep(request, response, times) {
        Ok(keep) => Store::Keep(keep),
        Err(reject) => Store::Pass(reject),
    }
}

fn keep(request: &Request<'_>, response: &Response<'_>, times: Times) -> Result<Keep, Reject> {
    if request.method != "GET" || request.has_body || request.is_upgrade {
        return Err(Reject::Method);
    }
    check_status(response.status)?;
    let fields = response.fields;
    let directives = Directives::read(fields);
    check_directives(request, fields, &directives)?;
    let vary = vary::names(fields).ok_or(Reject::Vary)?;

    //= RFC 9111 section 4.2.1: a shared cache takes s-maxage before max-age.
    let lifetime_s = directives.s_maxage.or(directives.max_age);
    if lifetime_s.is_none() && !directives.no_cache {
        return Err(Reject::NoFreshness);
    }
    let meta = Meta {
        arrived_ms: times.arrived_ms,
        age_ms: age_on_arrival_ms(fields, times),
        lifetime_ms: lifetime_s.unwrap_or(0) * 1000,
        date_s: fields.only("date").and_then(date::parse),
        always_validate: directives.no_cache,
        is_shared: is_shared(&directives),
    };
    if !meta.is_fresh(times.arrived_ms) && Validators::read(fields).is_empty() {
        return Err(Reject::Expired);
    }
    Ok(Keep { meta, vary })
}

//= RFC 9111 section 3: the status is final and understood. 206 waits for the rest of the house; errors that a
// single odd request can provoke (400, 405, 413, 414, 431, 5xx) are left out: nobody may poison a page with them.
fn check_status(status: u16) -> Result<(), Reject> {
    match status {
        200 | 203 | 204 | 300 | 301 | 302 | 307 | 308 | 404 | 410 => Ok(()),
        206 => Err(Reject::Partial),
        _ => Err(Reject::Status),
    }
}

fn check_directives(request: &Request<'_>, fields: Fields<'_>, directives: &Directives) -> Result<(), Reject> {
    //= RFC 9111 section 5.2.2.5 and 5.2.1.5: no-store, of either side (must-understand does not soften it).
    if directives.no_store || Directives::read(request.fields).no_store {
        return Err(Reject::NoStore);
    }
    //= RFC 9111 section 5.2.2.7: private: not by a shared cache.
    if directives.private {
        return Err(Reject::Private);
    }
    if directives.is_malformed {
        return Err(Reject::Malformed);
    }
    //= RFC 9111 section 7.3: Set-Cookie does not inhibit caching by itself; here it does, as in nginx and Varnish.
    if fields.has("set-cookie") {
        return Err(Reject::SetCookie);
    }
    if request.fields.has("authorization") && !is_shared(directives) {
        return Err(Reject::Authorization);
    }
    Ok(())
}

//= RFC 9111 section 3.5: must-revalidate, public and s-maxage let a shared cache store what was authorised.
fn is_shared(directives: &Directives) -> bool {
    directives.public || directives.must_revalidate || directives.s_maxage.is_some()
}

//= RFC 9111 section 4.2.3: the greater of the apparent age (by Date) and the Age field plus the response's delay.
fn age_on_arrival_ms(fields: Fields<'_>, times: Times) -> u64 {
    //= RFC 9111 section 5.1: of a list the first counts; an invalid Age is ignored.
    let age_s = fields
        .all("age")
        .next()
        .and_then(|value| members(value).next())
        .and_then(Result::ok)
        .and_then(seconds)
        .unwrap_or(0);
    let delay_ms = times.arrived_ms.saturating_sub(times.asked_ms);
    // Date is cut to its second; the whole of that second may have passed when it was written.
    let apparent_ms = fields
        .only("date")
        .and_then(date::parse)
        .map_or(0, |date_s| times.arrived_ms.saturating_sub(date_s * 1000 + 999));
    let corrected_ms = (age_s * 1000).saturating_add(delay_ms);
    corrected_ms.max(apparent_ms).min(SECONDS_MAX * 1000)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

//! One order, from the account to the chain and the key.

use crate::challenges::{Due, Shown};
use crate::client::Client;
use crate::failure::{Failure, is};
use crate::metrics::Outcome;
use crate::store::{self, Store};
use alongside_document::{Acme, Challenge};
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a request is made anew whose nonce is refused, beyond the two times that the client does so itself.
const NONCES: u32 = 20;
/// How long others have to show an answer before the authority is told to ask.
const SPREAD: Duration = Duration::from_millis(500);
/// How long the authority may take to ask, and to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// Makes a request until its nonce is taken.
macro_rules! patiently {
    ($request:expr) => {{
        let mut left = NONCES;
        loop {
            match $request.await {
                Err(Error::Api(problem)) if left > 0 && is(&problem, "badNonce") => left -= 1,
                result => break result,
            }
        }
    }};
}

/// What an order needs.
pub struct Ordering<'o> {
    /// The listener's name, for the log.
    pub listener: &'o str,
    /// What is wanted.
    pub acme: &'o Acme,
    /// The hosts of it, in lower case.
    pub domains: &'o BTreeSet<String>,
    /// Where accounts are kept and answers announced.
    pub store: &'o Store,
    /// The way to the authority.
    pub client: &'o Client,
}

/// A chain and its key, in PEM.
pub struct Issued {
    pub chain: String,
    pub key: String,
}

impl Ordering<'_> {
    /// Orders a certificate, in the stead of another if there is one. Answers are shown until the next ones are set.
    ///
    /// # Errors
    /// A [`Failure`].
    pub async fn order(
        &self,
        shown: &mut Shown,
        replaces: Option<CertificateIdentifier<'static>>,
    ) -> Result<Issued, Failure> {
        let mut order = self.begin(replaces).await?;
        if !matches!(order.state().status, OrderStatus::Ready | OrderStatus::Valid) {
            self.authorize(&mut order, shown).await?;
        }
        let key = patiently!(order.finalize()).map_err(|error| self.failure(&error))?;
        let chain = patiently!(order.poll_certificate(&PATIENCE)).map_err(|error| self.failure(&error))?;
        let kept = store::kept(chain.as_bytes(), key.as_bytes(), self.domains);
        if kept.is_none_or(|kept| !kept.held.is_wanted) {
            let reason = "the authority issued something else than was ordered";
            return Err(Failure::new(Outcome::Failed, reason));
        }
        Ok(Issued { chain, key })
    }

    fn failure(&self, error: &Error) -> Failure {
        Failure::of(error, self.client.last())
    }

    /// Returns the account: the one that is kept, or a new one.
    ///
    /// # Errors
    /// A [`Failure`].
    pub async fn account(&self, is_new: bool) -> Result<Account, Failure> {
        let directory = self.acme.directory.as_str();
        let contacts: Vec<&str> = self.acme.contacts.iter().map(|contact| contact.as_str()).collect();
        let builder = || Account::builder_with_http(Box::new(self.client.clone()));
        let kept = self.store.account(directory).filter(|_| !is_new);
        if let Some(kept) = kept {
            let is_same = kept.contacts == contacts;
            let account = builder().from_credentials(kept.credentials).await.map_err(|error| self.failure(&error))?;
            if is_same {
                return Ok(account);
            }
            match patiently!(account.update_contacts(&contacts)) {
                Ok(()) => {
                    if let Some(kept) = self.store.account(directory) {
                        self.keep(kept.credentials, &contacts)?;
                    }
                    return Ok(account);
                }
                Err(error) if is_unknown(&error) => {}
                Err(error) => return Err(self.failure(&error)),
            }
        }
        let wanted = NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let made = patiently!(builder().create(&wanted, directory.to_owned(), None));
        let (account, credentials) = made.map_err(|error| self.failure(&error))?;
        self.keep(credentials, &contacts)?;
        tracing::info!(event = "acme_account_made", listener = self.listener, directory);
        Ok(account)
    }

    fn keep(&self, credentials: instant_acme::AccountCredentials, contacts: &[&str]) -> Result<(), Failure> {
        let contacts = contacts.iter().map(|&contact| contact.to_owned()).collect();
        let account = store::Account { directory: self.acme.directory.to_string(), contacts, credentials };
        let failed = |error| Failure::new(Outcome::Failed, format!("the account cannot be kept: {error}"));
        self.store.keep_account(&account).map_err(failed)
    }

    async fn begin(&self, mut replaces: Option<CertificateIdentifier<'static>>) -> Result<Order, Failure> {
        let hosts: Vec<Identifier> = self.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut account = self.account(false).await?;
        let mut is_new = false;
        loop {
            let wanted = NewOrder::new(&hosts);
            let wanted = match &replaces {
                Some(replaces) => wanted.replaces(replaces.clone()),
                None => wanted,
            };
            match patiently!(account.new_order(&wanted)) {
                Ok(order) => return Ok(order),
                Err(error) if !is_new && is_unknown(&error) => {
                    tracing::warn!(event = "acme_account_unknown", listener = self.listener, reason = %error);
                    account = self.account(true).await?;
                    is_new = true;
                }
                Err(Error::Api(problem)) if is(&problem, "rateLimited") => {
                    return Err(self.failure(&Error::Api(problem)));
                }
                // That it replaces another is a favour, which the authority need not do.
                Err(Error::Api(_) | Error::Unsupported(_) | Error::Other(_)) if replaces.is_some() => replaces = None,
                Err(error) => return Err(self.failure(&error)),
            }
        }
    }

    async fn authorize(&self, order: &mut Order, shown: &mut Shown) -> Result<(), Failure> {
        let kind = match self.acme.challenge {
            Challenge::Http01 => ChallengeType::Http01,
            Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let due = patiently!(self.gather(order, &kind)).map_err(|error| self.failure(&error))?;
        let failed = |why: String| Failure::new(Outcome::Failed, format!("the challenge cannot be answered: {why}"));
        shown.set(&due).map_err(failed)?;
        self.store.announce(&due).map_err(|error| failed(error.to_string()))?;
        tokio::time::sleep(SPREAD).await;
        for due in &due {
            match patiently!(ready(order, &kind, due)) {
                Ok(()) => {}
                // An authority that has looked already says there why it refuses.
                Err(error @ Error::Api(_)) => return Err(self.why(order, Some(error)).await),
                Err(error) => return Err(self.failure(&error)),
            }
        }
        match patiently!(order.poll_ready(&PATIENCE)) {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
            Ok(_) => Err(self.why(order, None).await),
            Err(error @ Error::Api(_)) => Err(self.why(order, Some(error)).await),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Returns the answers that are due.
    async fn gather(&self, order: &mut Order, kind: &ChallengeType) -> Result<Vec<Due>, Error> {
        let mut due = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let host = authorization.identifier().to_string();
            let Some(challenge) = authorization.challenge(kind.clone()) else {
                return Err(Error::Str("the authority offers no such challenge"));
            };
            let answer = challenge.key_authorization().as_str().to_owned();
            due.push(Due { host, token: challenge.token.clone(), answer });
        }
        Ok(due)
    }

    /// Says which host the authority refuses, and why.
    async fn why(&self, order: &mut Order, error: Option<Error>) -> Failure {
        let last = self.client.last();
        // An order that was asked anew has forgotten them, and asking for one may meet a refused nonce.
        let _ = patiently!(fetch(order));
        let mut reasons = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let Ok(mut authorization) = authorization else { continue };
            if patiently!(authorization.refresh()).is_err() {
                continue;
            }
            let problems = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            let words =
                |problem: &Problem| problem.detail.clone().or_else(|| problem.r#type.clone()).unwrap_or_default();
            let host = authorization.identifier().to_string();
            reasons.extend(problems.map(|problem| format!("{host}: {}", words(problem))));
        }
        if reasons.is_empty() {
            let error = error.unwrap_or(Error::Str("the authority refuses, and does not say why"));
            return Failure { outcome: Outcome::Refused, ..Failure::of(&error, last) };
        }
        Failure { not_before_s: last.retry_after_s, ..Failure::new(Outcome::Refused, reasons.join("; ")) }
    }
}

/// Gets what the order does not have yet of its authorizations, as far as the authority tells; fails where a nonce is
/// refused, so that the rest is asked for anew.
async fn fetch(order: &mut Order) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        match authorization {
            Err(Error::Api(problem)) if is(&problem, "badNonce") => return Err(Error::Api(problem)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// Lets the authority ask for an answer.
async fn ready(order: &mut Order, kind: &ChallengeType, due: &Due) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let Some(mut challenge) = authorization.challenge(kind.clone()) else { continue };
        if challenge.token == due.token {
            return challenge.set_ready().await;
        }
    }
    Ok(())
}

/// Whether the authority knows the account no more, or wants to know nothing of it.
fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if is(problem, "accountDoesNotExist") || is(problem, "unauthorized"))
}

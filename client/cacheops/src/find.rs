//! Finding a value: the server, then whoever of this process is loading it, then nobody.

use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use crate::ask::{Answer, Ask};
use crate::codec::Codec;
use crate::core::Core;
use crate::events::ReadOutcome;
use crate::fill::{Fill, Lock};
use crate::flight::{self, Landing, Lead, Outcome, Role, Stamp};
use crate::options::Options;
use crate::stats::count;
use crate::{Client, Error, ErrorKind, Token, Version, scope};

pub(crate) struct Find<'a> {
    pub(crate) core: &'a Arc<Core>,
    pub(crate) key: &'a [u8],
    pub(crate) options: &'a Options<'a>,
}

pub(crate) enum Found<T> {
    Value(T, ReadOutcome),
    /// The caller must load. Without a fill, only for itself.
    Nothing(Option<Box<Fill>>, ReadOutcome),
}

/// A miss, and what came with it.
struct Miss {
    token: Option<Token>,
    /// When the server was asked.
    asked: Stamp,
    lock: Option<Lock>,
}

/// What one question came to.
enum Asked<T> {
    Value(T, ReadOutcome),
    Miss(Miss),
    Failed,
}

impl Find<'_> {
    pub(crate) async fn find<T, C: Codec<T>>(&self, codec: &C) -> Found<T> {
        let client = match self.core.trusted() {
            Some(client) if !self.options.bypass => client,
            _ => return Found::Nothing(None, ReadOutcome::Bypass),
        };
        match self.options.snapshot {
            Some(_) => self.find_in_snapshot(&client, codec).await,
            // Nor can a loader wait for itself.
            None if self.options.alone || scope::is_loading(self.key) => {
                self.find_alone(&client, codec).await
            }
            None => self.find_with_others(&client, codec).await,
        }
    }

    /// In a transaction: no newer token than its own, and nobody else's rows.
    async fn find_in_snapshot<T, C: Codec<T>>(&self, client: &Client, codec: &C) -> Found<T> {
        match self.ask(client, codec, Ask::default()).await {
            Asked::Value(value, outcome) => Found::Value(value, outcome),
            Asked::Miss(miss) => {
                let token = self.options.snapshot.and_then(|taken| taken.token_for(self.key));
                self.nothing(Miss { token, ..miss }, None)
            }
            Asked::Failed => Found::Nothing(None, ReadOutcome::Error),
        }
    }

    /// With a token of its own, and nobody to wait for.
    async fn find_alone<T, C: Codec<T>>(&self, client: &Client, codec: &C) -> Found<T> {
        match self.ask(client, codec, Ask { token: true, ..Ask::default() }).await {
            Asked::Value(value, outcome) => Found::Value(value, outcome),
            Asked::Miss(miss) => self.nothing(miss, None),
            Asked::Failed => Found::Nothing(None, ReadOutcome::Error),
        }
    }

    async fn find_with_others<T, C: Codec<T>>(&self, client: &Client, codec: &C) -> Found<T> {
        let begun = flight::now();
        let lock = (self.options.lock && client.has("lock")).then_some(self.core.lock.hold);
        let first = Ask { token: true, lock, ..Ask::default() };
        let again = Ask { token: true, ..Ask::default() };
        let mut miss = match self.ask(client, codec, first).await {
            Asked::Value(value, outcome) => return Found::Value(value, outcome),
            Asked::Miss(miss) => miss,
            Asked::Failed => return Found::Nothing(None, ReadOutcome::Error),
        };
        loop {
            let follow = match self.core.flights.join(self.key, miss.asked) {
                Role::Lead(lead) => return self.lead(client, codec, miss, lead).await,
                Role::Follow(follow) => follow,
            };
            // Who leads may be waiting for this very lock.
            drop(miss.lock.take());
            // Not for ever: the leader may be waiting for something that this reader holds.
            let limit = self.core.lock.wait;
            let outcome = tokio::time::timeout(limit, follow.outcome()).await;
            let next = match outcome.unwrap_or(Outcome::Failed) {
                Outcome::Landed(landing) if landing.serves(begun, miss.token) => {
                    return self.share(codec, miss, &landing);
                }
                Outcome::Failed => return self.nothing(miss, None),
                // The server is lost: it would not answer us either.
                _ if !self.core.link.is_current(client) => {
                    return Found::Nothing(None, ReadOutcome::Error);
                }
                Outcome::Landed(landing) => self.prove(client, codec, again, &landing).await,
                Outcome::Abandoned => self.ask(client, codec, again).await,
            };
            miss = match next {
                Asked::Value(value, outcome) => return Found::Value(value, outcome),
                Asked::Miss(later) => later,
                Asked::Failed => return Found::Nothing(None, ReadOutcome::Error),
            };
        }
    }

    /// The first of this process: asks again if that may help, and waits for the lock of another.
    async fn lead<T, C: Codec<T>>(
        &self,
        client: &Client,
        codec: &C,
        mut miss: Miss,
        lead: Lead,
    ) -> Found<T> {
        let locks = self.options.lock && client.has("lock");
        // Who holds the lock was given it by a miss, and nobody has stored since.
        if miss.lock.is_some() || !(locks || lead.late) {
            return self.nothing(miss, Some(lead));
        }
        let asked = flight::now();
        let answer = match locks {
            true => match self.wait(client).await {
                Some(answer) => answer,
                None => return Found::Nothing(None, ReadOutcome::Error),
            },
            false => Ok(None),
        };
        let (answer, held) = match answer {
            Ok(Some(Answer::Miss(Some(token)))) => {
                (Ok(Answer::Miss(Some(token))), Some(Lock::new(self.core, client, self.key, token)))
            }
            Ok(Some(hit @ (Answer::Hit(..) | Answer::Unchanged))) => (Ok(hit), None),
            // Nobody was waited for, or in vain.
            Ok(_) | Err(_) => {
                let versioned = Ask { if_not: Some(0), token: true, ..Ask::default() };
                (self.put_question(client, versioned).await, None)
            }
        };
        match answer {
            Ok(Answer::Hit(bytes, version)) => match self.core.decode(codec, &bytes) {
                Some(value) => {
                    let bytes = bytes.into();
                    lead.end(Outcome::Landed(Landing { bytes, asked, token: None, version }));
                    return Found::Value(value, ReadOutcome::Hit);
                }
                None => miss = Miss { asked, token: self.token(client).await, lock: None },
            },
            Ok(Answer::Miss(token)) => miss = Miss { token, asked, lock: held },
            Ok(Answer::Unchanged) => {}
            Err(error) => {
                self.core.link.failed(client, &error);
                return Found::Nothing(None, ReadOutcome::Error);
            }
        }
        self.nothing(miss, Some(lead))
    }

    /// Waits for a lock; none if the server is lost meanwhile, and with it whoever holds the lock.
    async fn wait(&self, client: &Client) -> Option<Result<Option<Answer>, Error>> {
        count(&self.core.link.counters.waits);
        let times = self.core.lock;
        let (lock, wait) = (Some(times.hold), Some(times.wait));
        let ask = Ask { if_not: Some(0), token: true, lock, wait };
        let link = &self.core.link;
        let mut answer = self.core.waiting.ask(link, client, self.key, ask);
        let lost = link.lost(client);
        tokio::pin!(lost);
        std::future::poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => lost.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// Asks the server whether the entry that a landing left is good.
    async fn prove<T, C: Codec<T>>(
        &self,
        client: &Client,
        codec: &C,
        again: Ask,
        landing: &Landing,
    ) -> Asked<T> {
        let Some(version) = landing.version else { return self.ask(client, codec, again).await };
        let asked = flight::now();
        let ask = Ask { if_not: Some(version.get()), ..again };
        match self.put_question(client, ask).await {
            Ok(Answer::Unchanged) => match self.core.decode(codec, &landing.bytes) {
                Some(value) => Asked::Value(value, ReadOutcome::Coalesced),
                None => self.undecodable(client, asked).await,
            },
            answer => self.answered(client, codec, answer, asked, None).await,
        }
    }

    /// One question, with the value that is kept in the process as a stake.
    async fn ask<T, C: Codec<T>>(&self, client: &Client, codec: &C, ask: Ask) -> Asked<T> {
        let asked = flight::now();
        let near = self.near();
        let if_not = self.options.near.then(|| near.as_ref().map_or(0, |(v, _)| v.get()));
        let ask = Ask { if_not, ..ask };
        let (answer, lock) = match ask.lock {
            Some(_) => self.ask_for_lock(client, ask).await,
            None => (self.put_question(client, ask).await, None),
        };
        if matches!(answer, Ok(Answer::Miss(None))) && ask.token && ask.lock.is_none() {
            self.core.warn_of_replica();
        }
        if let (Ok(Answer::Unchanged), Some((_, bytes))) = (&answer, near) {
            return match self.core.decode(codec, &bytes) {
                Some(value) => Asked::Value(value, ReadOutcome::NearHit),
                None => self.undecodable(client, asked).await,
            };
        }
        self.answered(client, codec, answer, asked, lock).await
    }

    /// In a task of its own: if this future is dropped, a lock that is granted afterwards is given up,
    /// and does not keep the others waiting until its time is over.
    async fn ask_for_lock(
        &self,
        client: &Client,
        ask: Ask,
    ) -> (Result<Answer, Error>, Option<Lock>) {
        let (core, asking) = (Arc::clone(self.core), client.clone());
        let key = self.key.to_vec();
        let (tell, told) = oneshot::channel();
        let watch = self.core.link.watch(client);
        self.core.link.runtime().spawn(async move {
            let answer = asking.ask(&key, ask).await;
            let lock = match &answer {
                Ok(Answer::Miss(Some(token))) => Some(Lock::new(&core, &asking, &key, *token)),
                _ => None,
            };
            let _ = tell.send((answer, lock));
        });
        let answer = told.await.unwrap_or_else(|_| {
            let text = "the runtime of the handle has ended";
            (Err(Error::new(ErrorKind::Connection, text)), None)
        });
        watch.done();
        answer
    }

    async fn put_question(&self, client: &Client, ask: Ask) -> Result<Answer, Error> {
        let watch = self.core.link.watch(client);
        let answer = client.ask(self.key, ask).await;
        watch.done();
        answer
    }

    async fn answered<T, C: Codec<T>>(
        &self,
        client: &Client,
        codec: &C,
        answer: Result<Answer, Error>,
        asked: Stamp,
        lock: Option<Lock>,
    ) -> Asked<T> {
        match answer {
            Ok(Answer::Hit(bytes, version)) => match self.core.decode(codec, &bytes) {
                Some(value) => {
                    self.keep(version, bytes);
                    Asked::Value(value, ReadOutcome::Hit)
                }
                None => self.undecodable(client, asked).await,
            },
            Ok(Answer::Miss(token)) => Asked::Miss(Miss { token, asked, lock }),
            // Said of a value that nobody named: not to be trusted.
            Ok(Answer::Unchanged) => Asked::Miss(Miss { token: None, asked, lock: None }),
            Err(error) => {
                self.core.link.failed(client, &error);
                Asked::Failed
            }
        }
    }

    /// The entry is there and of no use: as a miss, with a token to replace it.
    async fn undecodable<T>(&self, client: &Client, asked: Stamp) -> Asked<T> {
        Asked::Miss(Miss { token: self.token(client).await, asked, lock: None })
    }

    async fn token(&self, client: &Client) -> Option<Token> {
        match client.token_of(self.key).await {
            Ok(token) => token,
            Err(error) => {
                self.core.link.failed(client, &error);
                None
            }
        }
    }

    fn share<T, C: Codec<T>>(&self, codec: &C, miss: Miss, landing: &Landing) -> Found<T> {
        match self.core.decode(codec, &landing.bytes) {
            Some(value) => Found::Value(value, ReadOutcome::Coalesced),
            // Two types under one key.
            None => self.nothing(miss, None),
        }
    }

    fn nothing<T>(&self, miss: Miss, lead: Option<Lead>) -> Found<T> {
        let Miss { token, asked, lock } = miss;
        let (core, key) = (Arc::clone(self.core), self.key.to_vec());
        let fill = Fill { core, key, token, asked, lead, lock };
        Found::Nothing(Some(Box::new(fill)), ReadOutcome::Miss)
    }

    #[cfg(feature = "moka")]
    fn near(&self) -> Option<(Version, Arc<[u8]>)> {
        if self.options.near { self.core.near.get(self.key) } else { None }
    }

    #[cfg(feature = "moka")]
    fn keep(&self, version: Option<Version>, bytes: Vec<u8>) {
        if let (true, Some(version)) = (self.options.near, version) {
            self.core.near.put(self.key, version, bytes.into());
        }
    }

    #[cfg(not(feature = "moka"))]
    fn near(&self) -> Option<(Version, Arc<[u8]>)> {
        None
    }

    #[cfg(not(feature = "moka"))]
    fn keep(&self, _: Option<Version>, _: Vec<u8>) {}
}

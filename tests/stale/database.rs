//! A database in memory: two tables, commits in one order, and readers that keep the snapshot they began with.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::change::Change;

/// A commit's place in the order of commits; 0 is the empty database.
pub type Version = u64;

/// Commits that the lagging replica may be behind, at most.
const MAX_LAG: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Post {
    pub id: u32,
    pub author: u32,
    pub category: u32,
    /// Whether `deleted_at` is set; otherwise it is NULL.
    pub deleted: bool,
    /// The commit that wrote this row: no two images of a row are equal.
    pub written: Version,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct User {
    pub id: u32,
    pub team: u32,
    /// The commit that wrote this row.
    pub written: Version,
}

/// All rows after one commit.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub version: Version,
    pub posts: Vec<Post>,
    pub users: Vec<User>,
}

/// A row before and after a commit; `None` where it did not exist.
#[derive(Debug, Clone, Copy)]
pub enum Image {
    Post(Option<Post>, Option<Post>),
    User(Option<User>, Option<User>),
}

/// What one commit did: for each of its changes, the rows it touched.
#[derive(Debug)]
pub struct Commit {
    pub version: Version,
    pub images: Vec<Vec<Image>>,
}

/// The primary, and a replica that applies commits late.
#[derive(Default)]
pub struct Database(Mutex<Nodes>);

#[derive(Default)]
struct Nodes {
    newest: Arc<Snapshot>,
    /// What the replica shows, and the commits that it has yet to apply.
    replica: Arc<Snapshot>,
    backlog: VecDeque<Arc<Snapshot>>,
}

impl Database {
    /// What a statement sees that begins now, and so a whole transaction under snapshot isolation.
    pub fn newest(&self) -> Arc<Snapshot> {
        self.with(|nodes| nodes.newest.clone())
    }

    /// The same on the replica.
    pub fn replica(&self) -> Arc<Snapshot> {
        self.with(|nodes| nodes.replica.clone())
    }

    /// Commits the changes as one transaction. The replica then applies `replayed` of the commits it has not seen.
    pub fn commit(&self, changes: &[Change], replayed: usize) -> Commit {
        self.with(|nodes| {
            let version = nodes.newest.version + 1;
            let mut next = Snapshot {
                version,
                posts: nodes.newest.posts.clone(),
                users: nodes.newest.users.clone(),
            };
            let images = changes.iter().map(|change| change.apply(&mut next)).collect();
            nodes.newest = Arc::new(next);
            nodes.backlog.push_back(nodes.newest.clone());
            let due = replayed.max(nodes.backlog.len().saturating_sub(MAX_LAG));
            let due = due.min(nodes.backlog.len());
            if let Some(last) = nodes.backlog.drain(..due).next_back() {
                nodes.replica = last;
            }
            Commit { version, images }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Nodes) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

//! What writers do to the database, and how they tell the cache.

use super::database::{Image, Post, Snapshot, User};
use super::query::{AUTHORS, CATEGORIES, POSTS, TEAMS};
use support::Random;

/// One statement of a writer.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Inserts a post, or updates the one of that id.
    PutPost(Post),
    DeletePost(u32),
    /// `UPDATE post SET category = to WHERE category = from`.
    MovePosts {
        from: u32,
        to: u32,
    },
    /// `DELETE FROM post WHERE author = ..`.
    DeletePosts {
        author: u32,
    },
    PutUser(User),
}

/// How much a writer tells of the rows it changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Detail {
    /// Every field of the old and of the new row; a predicate for a mass change.
    Full,
    /// Some fields are left out, and so unknown.
    Partial,
    /// The whole table.
    Table,
}

impl Change {
    /// Some statement; most change one row.
    pub fn any(random: &mut Random) -> Self {
        let mut below = |bound: u32| random.below(bound as usize) as u32;
        match below(20) {
            0 => Self::MovePosts { from: below(CATEGORIES), to: below(CATEGORIES) },
            1 => Self::DeletePosts { author: below(AUTHORS) },
            2 | 3 => Self::DeletePost(below(POSTS)),
            4..8 => Self::PutUser(User { id: below(AUTHORS), team: below(TEAMS), written: 0 }),
            _ => Self::PutPost(Post {
                id: below(POSTS),
                author: below(AUTHORS),
                category: below(CATEGORIES),
                deleted: below(3) == 0,
                written: 0,
            }),
        }
    }

    /// The rows that there are when the first reader comes.
    pub fn first() -> Vec<Self> {
        let posts = (0..POSTS).map(|id| {
            let (author, category) = (id % AUTHORS, id % CATEGORIES);
            Self::PutPost(Post { id, author, category, deleted: id % 3 == 0, written: 0 })
        });
        let users = (0..AUTHORS).map(|id| Self::PutUser(User { id, team: id % TEAMS, written: 0 }));
        posts.chain(users).collect()
    }

    /// Changes the rows and returns them as they were and as they are.
    pub fn apply(self, rows: &mut Snapshot) -> Vec<Image> {
        let written = rows.version;
        match self {
            Self::PutPost(post) => {
                let post = Post { written, ..post };
                let old = rows.posts.iter_mut().find(|old| old.id == post.id);
                let old = match old {
                    Some(row) => Some(std::mem::replace(row, post)),
                    None => {
                        rows.posts.push(post);
                        None
                    }
                };
                vec![Image::Post(old, Some(post))]
            }
            Self::DeletePost(id) => delete_posts(rows, |post| post.id == id),
            Self::DeletePosts { author } => delete_posts(rows, |post| post.author == author),
            Self::MovePosts { from, to } => {
                let moved = rows.posts.iter_mut().filter(|post| post.category == from);
                moved
                    .map(|row| {
                        let post = Post { category: to, written, ..*row };
                        Image::Post(Some(std::mem::replace(row, post)), Some(post))
                    })
                    .collect()
            }
            Self::PutUser(user) => {
                let user = User { written, ..user };
                let old = rows.users.iter_mut().find(|old| old.id == user.id);
                let old = match old {
                    Some(row) => Some(std::mem::replace(row, user)),
                    None => {
                        rows.users.push(user);
                        None
                    }
                };
                vec![Image::User(old, Some(user))]
            }
        }
    }

    /// The table and its rows, as INVALIDATE takes them; nothing where no row was touched that the writer would know of.
    /// `images` is what [`Change::apply`] returned.
    pub fn rows(self, images: &[Image], detail: Detail) -> Option<(&'static str, String)> {
        let table = if matches!(self, Self::PutUser(_)) { "user" } else { "post" };
        let rows = match self {
            _ if detail == Detail::Table => "*".to_owned(),
            Self::MovePosts { from, to } => format!("category={from}|category={to}"),
            Self::DeletePosts { author } => format!("author={author}"),
            _ if images.is_empty() => return None,
            _ => images.iter().map(|image| text_of(image, detail)).collect::<Vec<_>>().join("|"),
        };
        Some((table, rows))
    }
}

fn delete_posts(rows: &mut Snapshot, which: impl Fn(&Post) -> bool) -> Vec<Image> {
    let deleted = rows.posts.extract_if(.., |post| which(post));
    deleted.map(|post| Image::Post(Some(post), None)).collect()
}

fn text_of(image: &Image, detail: Detail) -> String {
    let rows: Vec<String> = match image {
        Image::Post(old, new) => {
            [old, new].into_iter().flatten().map(|row| text_of_post(row, detail)).collect()
        }
        Image::User(old, new) => {
            [old, new].into_iter().flatten().map(|row| text_of_user(row, detail)).collect()
        }
    };
    rows.join("|")
}

fn text_of_post(post: &Post, detail: Detail) -> String {
    let Post { id, author, category, deleted, .. } = post;
    let deleted = if *deleted { "deleted_at=1" } else { "deleted_at" };
    match detail {
        Detail::Full => format!("id={id}&author={author}&category={category}&{deleted}"),
        Detail::Partial | Detail::Table => format!("id={id}&category={category}"),
    }
}

fn text_of_user(user: &User, detail: Detail) -> String {
    let User { id, team, .. } = user;
    match detail {
        Detail::Full => format!("id={id}&team={team}"),
        Detail::Partial | Detail::Table => format!("team={team}"),
    }
}

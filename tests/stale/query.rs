//! What readers ask, and what each answer depends on, said twice: in Rust, by which the checker judges, and in the text
//! that the module is given.

use std::fmt::Write;

use super::database::{Image, Post, Snapshot, User, Version};

pub const POSTS: u32 = 24;
pub const AUTHORS: u32 = 6;
pub const CATEGORIES: u32 = 6;
pub const TEAMS: u32 = 3;

/// One statement of a reader.
#[derive(Debug, Clone, Copy)]
pub enum Question {
    Post(u32),
    /// `id IN (..)`.
    Posts([u32; 3]),
    Category(u32),
    /// `author = .. AND deleted_at IS NULL`.
    Visible {
        author: u32,
    },
    /// `category = .. OR author = ..`.
    Either {
        category: u32,
        author: u32,
    },
    /// A user and all posts of that author.
    Page {
        author: u32,
    },
    Team(u32),
    /// The users of a team and all posts that are not deleted.
    TeamPage(u32),
    AllPosts,
}

/// A question with its key and the conditions of its answer.
#[derive(Debug)]
pub struct Query {
    question: Question,
    pub key: String,
    /// Table, condition, table, condition, ...
    pub conditions: Vec<String>,
}

impl Query {
    /// All queries there are: about sixty keys of eight schemes.
    pub fn all() -> Vec<Self> {
        let mut questions = vec![Question::AllPosts];
        // Some of these posts never exist: the answer is empty, and kept as any other.
        questions.extend((0..POSTS + 2).map(Question::Post));
        questions.extend((0..POSTS / 3).map(|n| Question::Posts([n, n + 7, 3 * n])));
        questions.extend((0..CATEGORIES).map(Question::Category));
        for author in 0..AUTHORS {
            let category = (author + 1) % CATEGORIES;
            questions.push(Question::Visible { author });
            questions.push(Question::Either { category, author });
            questions.push(Question::Page { author });
        }
        questions
            .extend((0..TEAMS).flat_map(|team| [Question::Team(team), Question::TeamPage(team)]));
        questions.into_iter().map(Self::new).collect()
    }

    fn new(question: Question) -> Self {
        let conditions = match question {
            Question::Post(id) => vec!["post".into(), format!("id={id}")],
            Question::Posts([a, b, c]) => vec!["post".into(), format!("id={a}|id={b}|id={c}")],
            Question::Category(category) => vec!["post".into(), format!("category={category}")],
            Question::Visible { author } => {
                vec!["post".into(), format!("author={author}&deleted_at")]
            }
            Question::Either { category, author } => {
                vec!["post".into(), format!("category={category}|author={author}")]
            }
            Question::Page { author } => {
                vec![
                    "post".into(),
                    format!("author={author}"),
                    "user".into(),
                    format!("id={author}"),
                ]
            }
            Question::Team(team) => vec!["user".into(), format!("team={team}")],
            Question::TeamPage(team) => {
                vec!["post".into(), "deleted_at".into(), "user".into(), format!("team={team}")]
            }
            Question::AllPosts => vec!["post".into(), "*".into()],
        };
        let key = format!("{question:?}").replace(' ', "");
        Self { question, key, conditions }
    }

    /// The answer from one snapshot, as it is cached: key, version of the database, rows.
    pub fn answer(&self, rows: &Snapshot) -> String {
        let mut text = format!("{} {}", self.key, rows.version);
        for post in rows.posts.iter().filter(|post| self.wants_post(post)) {
            // Writing to a String cannot fail.
            let _ = write!(text, " p{}:{}", post.id, post.written);
        }
        for user in rows.users.iter().filter(|user| self.wants_user(user)) {
            let _ = write!(text, " u{}:{}", user.id, user.written);
        }
        text
    }

    /// The version of the database of an answer to this query.
    ///
    /// # Panics
    ///
    /// If it answers another query.
    pub fn version_of(&self, answer: &[u8]) -> Version {
        let text = str::from_utf8(answer).unwrap_or_default();
        let mut words = text.split(' ');
        assert_eq!(words.next(), Some(&self.key[..]), "the answer to another query: {text}");
        let version = words.next().and_then(|version| version.parse().ok());
        version.unwrap_or_else(|| panic!("not an answer: {text}"))
    }

    /// Whether an answer from before this change is not the answer after it.
    pub fn is_changed_by(&self, image: &Image) -> bool {
        match image {
            Image::Post(old, new) => {
                [old, new].into_iter().flatten().any(|post| self.wants_post(post))
            }
            Image::User(old, new) => {
                [old, new].into_iter().flatten().any(|user| self.wants_user(user))
            }
        }
    }

    fn wants_post(&self, post: &Post) -> bool {
        match self.question {
            Question::Post(id) => post.id == id,
            Question::Posts(ids) => ids.contains(&post.id),
            Question::Category(category) => post.category == category,
            Question::Visible { author } => post.author == author && !post.deleted,
            Question::Either { category, author } => {
                post.category == category || post.author == author
            }
            Question::Page { author } => post.author == author,
            Question::Team(_) => false,
            Question::TeamPage(_) => !post.deleted,
            Question::AllPosts => true,
        }
    }

    fn wants_user(&self, user: &User) -> bool {
        match self.question {
            Question::Page { author } => user.id == author,
            Question::Team(team) | Question::TeamPage(team) => user.team == team,
            _ => false,
        }
    }
}

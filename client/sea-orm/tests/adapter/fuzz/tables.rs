//! The tables once more: as each database declares them, and as the random SQL sees them.

use cacheops_sea_orm::{ColumnKind, Schema, Table as Registered};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use support::Random;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Id,
    Small,
    Int,
    Big,
    Decimal,
    Text,
    Slug,
    Flag,
    Uuid,
    Day,
    Hour,
    Made,
    Seen,
    Mood,
    Level,
}

impl Kind {
    /// Whether values of both can be compared without a cast, on the strictest database.
    pub fn meets(self, other: Self) -> bool {
        self.family() == other.family()
    }

    fn family(self) -> u8 {
        match self {
            Self::Id | Self::Small | Self::Int | Self::Big | Self::Decimal | Self::Level => 0,
            Self::Text | Self::Slug => 1,
            Self::Flag => 2,
            Self::Uuid => 3,
            Self::Day | Self::Made | Self::Seen => 4,
            Self::Hour => 5,
            Self::Mood => 6,
        }
    }

    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Slug | Self::Mood)
    }

    pub fn is_number(self) -> bool {
        self.family() == 0
    }

    fn known(self) -> ColumnKind {
        match self {
            Self::Id | Self::Small | Self::Int | Self::Big | Self::Level => ColumnKind::Int,
            Self::Decimal => ColumnKind::Decimal,
            Self::Text | Self::Slug | Self::Mood => ColumnKind::Text,
            Self::Flag => ColumnKind::Bool,
            Self::Uuid => ColumnKind::Uuid,
            Self::Day => ColumnKind::Date,
            Self::Hour | Self::Made | Self::Seen => ColumnKind::Opaque,
        }
    }
}

/// A table as the random SQL sees it.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    /// Its primary key.
    pub key: &'static [&'static str],
}

impl Table {
    /// One of the columns. Some are taken more often, so that questions and writes meet.
    pub fn column(&self, random: &mut Random) -> (&'static str, Kind) {
        const OFTEN: &[&str] = &["id", "number", "flag", "name", "level", "owner_id", "thing_id"];
        loop {
            let column = *random.pick(self.columns);
            if OFTEN.contains(&column.0) || random.once_in(3) {
                return column;
            }
        }
    }

    pub fn kind(&self, column: &str) -> Kind {
        let found = self.columns.iter().find(|(name, _)| *name == column);
        found.unwrap_or_else(|| panic!("{}.{column}", self.name)).1
    }
}

pub const OWNER: usize = 0;
pub const THING: usize = 1;
pub const NOTE: usize = 2;
pub const LABEL: usize = 3;
pub const LINK: usize = 4;

pub const TABLES: &[Table] = &[
    Table {
        name: "owner",
        columns: &[
            ("id", Kind::Id),
            ("name", Kind::Text),
            ("grade", Kind::Small),
            ("flag", Kind::Flag),
        ],
        key: &["id"],
    },
    Table {
        name: "thing",
        columns: &[
            ("id", Kind::Id),
            ("small", Kind::Small),
            ("number", Kind::Int),
            ("big", Kind::Big),
            ("price", Kind::Decimal),
            ("name", Kind::Text),
            ("code", Kind::Text),
            ("flag", Kind::Flag),
            ("token", Kind::Uuid),
            ("day", Kind::Day),
            ("hour", Kind::Hour),
            ("made", Kind::Made),
            ("seen", Kind::Seen),
            ("mood", Kind::Mood),
            ("level", Kind::Level),
            ("owner_id", Kind::Id),
            ("parent_id", Kind::Id),
        ],
        key: &["id"],
    },
    Table {
        name: "note",
        columns: &[
            ("id", Kind::Id),
            ("thing_id", Kind::Id),
            ("name", Kind::Text),
            ("number", Kind::Int),
        ],
        key: &["id"],
    },
    Table {
        name: "label",
        columns: &[("slug", Kind::Slug), ("number", Kind::Int)],
        key: &["slug"],
    },
    Table {
        name: "link",
        columns: &[("thing_id", Kind::Id), ("slug", Kind::Slug)],
        key: &["thing_id", "slug"],
    },
];

/// What an application may register of them. What it registers changes no answer.
pub fn schema() -> Schema {
    TABLES.iter().fold(Schema::new(), |schema, table| {
        let registered = table.columns.iter().fold(Registered::new(table.name), |known, column| {
            known.column(column.0, column.1.known())
        });
        schema.table(registered)
    })
}

/// The types that are not the same everywhere.
struct Types {
    serial: &'static str,
    decimal: &'static str,
    name: &'static str,
    code: &'static str,
    exact: &'static str,
    uuid: &'static str,
    made: &'static str,
    seen: &'static str,
    mood: &'static str,
}

const SQLITE: Types = Types {
    serial: "INTEGER PRIMARY KEY",
    decimal: "DECIMAL(8, 2)",
    name: "TEXT COLLATE NOCASE",
    code: "VARCHAR(8) COLLATE RTRIM",
    exact: "TEXT",
    uuid: "BLOB",
    made: "TIMESTAMP",
    seen: "TIMESTAMP",
    mood: "TEXT",
};

const POSTGRES: Types = Types {
    serial: "SERIAL PRIMARY KEY",
    decimal: "NUMERIC(8, 2)",
    name: "TEXT",
    code: "CHAR(8)",
    exact: "VARCHAR(100)",
    uuid: "UUID",
    made: "TIMESTAMP",
    seen: "TIMESTAMPTZ",
    mood: "mood",
};

/// The usual collation ignores case, accents and blanks at the end; one column is compared by its bytes.
const MARIADB: Types = Types {
    serial: "INTEGER PRIMARY KEY AUTO_INCREMENT",
    decimal: "DECIMAL(8, 2)",
    name: "VARCHAR(100) COLLATE utf8mb4_general_ci",
    code: "CHAR(8) COLLATE utf8mb4_unicode_ci",
    exact: "VARCHAR(100) COLLATE utf8mb4_bin",
    uuid: "BINARY(16)",
    made: "DATETIME(6)",
    seen: "TIMESTAMP(6) NULL DEFAULT NULL",
    mood: "ENUM('glad', 'Sad', 'true')",
};

/// Creates the tables in an empty database.
pub async fn create(db: &DatabaseConnection) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let types = match backend {
        DbBackend::Sqlite => SQLITE,
        DbBackend::Postgres => POSTGRES,
        _ => MARIADB,
    };
    let Types { serial, decimal, name, code, exact, uuid, made, seen, mood } = types;
    if backend == DbBackend::Postgres {
        db.execute_unprepared("CREATE TYPE mood AS ENUM ('glad', 'Sad', 'true')").await?;
    }
    for sql in [
        format!("CREATE TABLE owner (id {serial}, name {name}, grade SMALLINT, flag BOOLEAN)"),
        format!(
            "CREATE TABLE thing (id {serial}, small SMALLINT, number INTEGER, big BIGINT, price {decimal}, name {name},
            code {code}, flag BOOLEAN, token {uuid}, day DATE, hour TIME, made {made}, seen {seen}, mood {mood},
            level INTEGER, owner_id INTEGER, parent_id INTEGER,
            FOREIGN KEY (owner_id) REFERENCES owner (id) ON DELETE SET NULL ON UPDATE CASCADE,
            FOREIGN KEY (parent_id) REFERENCES thing (id) ON DELETE SET NULL)"
        ),
        format!(
            "CREATE TABLE note (id {serial}, thing_id INTEGER, name {exact}, number INTEGER,
            FOREIGN KEY (thing_id) REFERENCES thing (id) ON DELETE CASCADE)"
        ),
        format!("CREATE TABLE label (slug {name} NOT NULL PRIMARY KEY, number INTEGER)"),
        format!(
            "CREATE TABLE link (thing_id INTEGER NOT NULL, slug {name} NOT NULL, PRIMARY KEY (thing_id, slug),
            FOREIGN KEY (thing_id) REFERENCES thing (id) ON DELETE CASCADE,
            FOREIGN KEY (slug) REFERENCES label (slug) ON DELETE CASCADE ON UPDATE CASCADE)"
        ),
    ] {
        db.execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// Empties them, so that a round does not depend on those before it.
pub async fn clear(db: &DatabaseConnection) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    if backend == DbBackend::Postgres {
        db.execute_unprepared("TRUNCATE link, label, note, thing, owner RESTART IDENTITY").await?;
        return Ok(());
    }
    db.execute_unprepared("UPDATE thing SET parent_id = NULL").await?;
    for table in ["link", "label", "note", "thing", "owner"] {
        db.execute_unprepared(&format!("DELETE FROM {table}")).await?;
    }
    if backend == DbBackend::MySql {
        for table in ["note", "thing", "owner"] {
            db.execute_unprepared(&format!("ALTER TABLE {table} AUTO_INCREMENT = 1")).await?;
        }
    }
    Ok(())
}

/// Lets PostgreSQL number new rows behind those that brought their own number.
pub async fn number(db: &DatabaseConnection) -> Result<(), DbErr> {
    if db.get_database_backend() == DbBackend::Postgres {
        for table in ["owner", "thing"] {
            db.execute_unprepared(&format!("SELECT setval('{table}_id_seq', 8)")).await?;
        }
    }
    Ok(())
}

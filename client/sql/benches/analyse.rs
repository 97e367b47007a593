//! Time to compile a statement, to find its template, and to fill it with values, by the kind of statement.
//!
//! `cargo bench -p cacheops-sql`. Compiling happens once for each distinct text, finding and filling at every query.

use std::hint::black_box;

use cacheops_sql::{Analyser, Dialect, Schema, Value};
use criterion::{Criterion, criterion_group, criterion_main};

const STATEMENTS: &[(&str, &str)] = &[
    ("by_key", "SELECT id, name, tag FROM article WHERE id = $1"),
    (
        "two_conditions",
        r#"SELECT "article"."id", "article"."name", "article"."tag", "article"."draft", "article"."author_id" FROM "article" WHERE "article"."tag" = $1 AND "article"."draft" = $2 ORDER BY "article"."id" ASC LIMIT 10"#,
    ),
    (
        "left_join_or",
        "SELECT a.id, c.slug FROM article a LEFT JOIN category c ON c.id = a.category_id WHERE (a.tag = $1 OR a.author_id = $2) AND a.draft = false",
    ),
    (
        "cte_union_exists",
        "WITH recent AS (SELECT * FROM article WHERE tag = $1) SELECT id FROM recent UNION ALL SELECT b.id FROM book b WHERE b.shelf = $2 AND EXISTS (SELECT 1 FROM loan l WHERE l.book_id = b.id AND l.reader_id = $1)",
    ),
    ("in_10", "SELECT * FROM article WHERE id IN ($1, $2, $1, $2, $1, $2, $1, $2, $1, $2)"),
    (
        "update_returning",
        "UPDATE article SET name = $2, tag = $1 WHERE id = $1 RETURNING id, name, tag",
    ),
    ("insert", "INSERT INTO article (id, name, tag, draft) VALUES ($1, $2, $1, false) RETURNING *"),
];

fn analyse(c: &mut Criterion) {
    let wide: Vec<String> = (0..40).map(|at| format!("\"article\".\"column_{at}\"")).collect();
    let wide = format!("SELECT {} FROM \"article\" WHERE \"article\".\"id\" = $1", wide.join(", "));
    let statements: Vec<(&str, &str)> =
        STATEMENTS.iter().copied().chain([("forty_columns", wide.as_str())]).collect();
    let values = [Value::Int(42), Value::from("A name of some length")];
    let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 100);

    let mut group = c.benchmark_group("sql/compile");
    for (name, sql) in &statements {
        group.bench_function(*name, |b| b.iter(|| analyser.compile(black_box(sql))));
    }
    group.finish();

    let mut group = c.benchmark_group("sql/find");
    for (name, sql) in &statements {
        analyser.analyse(sql);
        group.bench_function(*name, |b| b.iter(|| analyser.analyse(black_box(sql))));
    }
    group.finish();

    let mut group = c.benchmark_group("sql/fill");
    for (name, sql) in &statements {
        let template = analyser.analyse(sql);
        group.bench_function(*name, |b| {
            b.iter(|| {
                let values = black_box(values.as_slice());
                match template.dependencies(values) {
                    Some(conditions) => conditions.len(),
                    None => template.changed_rows(values).len(),
                }
            });
        });
    }
    group.finish();

    let row = [
        ("id", &values[0]),
        ("name", &values[1]),
        ("tag", &Value::Null),
        ("draft", &Value::Bool(true)),
    ];
    c.bench_function("sql/row/four_columns", |b| {
        b.iter(|| analyser.row_image(black_box("article"), black_box(row)));
    });
}

criterion_group!(benches, analyse);
criterion_main!(benches);

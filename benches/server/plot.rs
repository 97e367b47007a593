//! The picture of fan-out against time, as SVG text: both axes logarithmic, readable on light and dark pages.

use std::fmt::Write;

use serde_json::Value;

use crate::Result;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 430.0;

/// The frame of the axes within the picture.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 370.0;

/// Decades of the axes: 1 to 10^6 dependents, 1 microsecond to 10 seconds.
const X_DECADES: i32 = 6;
const Y_DECADES: i32 = 7;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}\
.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke-width:2.5}\
.lua{stroke:#cf222e}.ping{stroke:#9a6700}.idle{stroke:#8c959f;stroke-dasharray:4 4}.module{stroke:#0969da}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}\
.lua{stroke:#ff7b72}.ping{stroke:#e3b341}.module{stroke:#58a6ff}}";

/// One line: its class, its name, and its points in dependents and microseconds.
struct Line {
    class: &'static str,
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws the results of the measurement `fanout`.
pub fn fan_out(results: &Value) -> Result<String> {
    let points = |id: &str, figure: &str| -> Vec<(f64, f64)> {
        let series =
            results["series"].as_array().into_iter().flatten().find(|series| series["id"] == id);
        let points = series.and_then(|series| series["points"].as_array()).into_iter().flatten();
        points
            .filter_map(|point| {
                Some((point["fan_out"].as_f64()?, point[figure]["median"].as_f64()?))
            })
            .collect()
    };
    let lines = [
        ("lua", "Lua: server blocked", "lua", "command_usec"),
        ("ping", "other client's worst PING", "module", "worst_ping_usec"),
        ("idle", "the same, server idle", "module", "worst_idle_ping_usec"),
        ("module", "CACHEOPS.INVALIDATE", "module", "command_usec"),
    ]
    .map(|(class, name, id, figure)| Line { class, name, points: points(id, figure) });
    if lines.iter().all(|line| line.points.is_empty()) {
        return Err("these are not results of the measurement fanout".into());
    }
    let text = |name: &str| results["surroundings"][name].as_str().unwrap_or_default().to_owned();
    Ok(draw(&lines, &format!("{}, {}, {}", text("server"), text("cpu"), text("date"))))
}

fn draw(lines: &[Line], source: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Time of one invalidation against its fan-out\">\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"24\">Time of one invalidation</text>\n"
    );
    for decade in 0..=X_DECADES {
        let at = x(10_f64.powi(decade));
        grid(&mut svg, (at, TOP), (at, BOTTOM));
        let name = ["1", "10", "100", "1 000", "10 000", "100 000", "1 000 000"][decade as usize];
        label(&mut svg, (at, BOTTOM + 19.0), "middle", name);
    }
    for decade in 0..=Y_DECADES {
        let at = y(10_f64.powi(decade));
        grid(&mut svg, (LEFT, at), (RIGHT, at));
        let name =
            ["1 \u{b5}s", "10 \u{b5}s", "100 \u{b5}s", "1 ms", "10 ms", "100 ms", "1 s", "10 s"];
        label(&mut svg, (LEFT - 8.0, at + 4.0), "end", name[decade as usize]);
    }
    label(
        &mut svg,
        ((LEFT + RIGHT) / 2.0, BOTTOM + 39.0),
        "middle",
        "entries that depend on the row",
    );
    label(&mut svg, (WIDTH - 8.0, HEIGHT - 4.0), "end", &escaped(source));

    let mut lowest = f64::INFINITY;
    let mut ends: Vec<_> =
        lines.iter().filter_map(|line| Some((line, *line.points.last()?))).collect();
    // Names stand at the ends of their lines, from the bottom up, pushed apart where lines meet.
    ends.sort_by(|(_, one), (_, other)| one.1.total_cmp(&other.1));
    for (line, (_, last)) in ends {
        let path: Vec<_> = line
            .points
            .iter()
            .map(|&(fan_out, usec)| format!("{:.1},{:.1}", x(fan_out), y(usec)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline class=\"line {}\" points=\"{}\"/>",
            line.class,
            path.join(" ")
        );
        let at = y(last).min(lowest - 18.0);
        lowest = at;
        let (start, end) = (RIGHT + 8.0, RIGHT + 24.0);
        let _ = writeln!(svg, "<path class=\"line {}\" d=\"M{start} {at:.1}H{end}\"/>", line.class);
        label(&mut svg, (end + 5.0, at + 4.0), "start", line.name);
    }
    svg + "</svg>\n"
}

fn x(fan_out: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * fan_out.log10() / f64::from(X_DECADES)
}

/// Less than a microsecond is drawn as one.
fn y(usec: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * usec.max(1.0).log10() / f64::from(Y_DECADES)
}

fn grid(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<path class=\"grid\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn label(svg: &mut String, at: (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{text}</text>",
        at.0, at.1
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

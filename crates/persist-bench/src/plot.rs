//! The plots: how durable writes grow with threads and with the size of a record, and how stores stand side by side.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::report::Report;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 800;
const MARGIN: i32 = 16;
/// Room for the names of the stores: right of lines, left of bars.
const NAMES: i32 = 110;
const TITLE_HEIGHT: i32 = 44;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// The stores in the order of the legend, each with its colour.
const STORES: [(&str, RGBColor); 7] = [
    ("persist", RGBColor(213, 94, 0)),
    ("rocksdb", RGBColor(0, 114, 178)),
    ("sqlite", RGBColor(86, 180, 233)),
    ("fjall", RGBColor(0, 158, 115)),
    ("redb", RGBColor(204, 121, 167)),
    ("lmdb", RGBColor(150, 130, 30)),
    ("floor", RGBColor(130, 130, 130)),
];

/// What a line plot shows: one metric of several workloads that differ in one thing.
struct Lines {
    file: &'static str,
    title: &'static str,
    along: &'static str,
    metric: &'static str,
    /// The names of the workloads, and what stands below the axis for each.
    workloads: &'static [(&'static str, &'static str)],
}

/// What a bar plot shows: one metric of workloads that differ in kind, a group of bars each.
struct Bars {
    file: &'static str,
    title: &'static str,
    metric: &'static str,
    unit: &'static str,
    workloads: &'static [(&'static str, &'static str)],
}

const LINES: [Lines; 3] = [
    Lines {
        file: "durable-by-threads.svg",
        title: "Durable writes per second",
        along: "threads",
        metric: "ops_per_s",
        workloads: &[
            ("durable-1-thread", "1"),
            ("durable-8-threads", "8"),
            ("durable-64-threads", "64"),
            ("durable-256-threads", "256"),
        ],
    },
    Lines {
        file: "durable-by-size.svg",
        title: "Durable writes per second, 1 thread",
        along: "size of a record",
        metric: "ops_per_s",
        workloads: &[
            ("record-100b", "100 B"),
            ("record-1k", "1 kB"),
            ("record-10k", "10 kB"),
            ("record-100k", "100 kB"),
        ],
    },
    Lines {
        file: "flush-by-table.svg",
        title: "A flush of 1,000 rows: rows per second",
        along: "rows in the table before",
        metric: "ops_per_s",
        workloads: &[
            ("flush-1000-at-100k", "100,000"),
            ("flush-1000-at-1m", "1,000,000"),
            ("flush-1000-at-5m", "5,000,000"),
        ],
    },
];

const BARS: [Bars; 3] = [
    Bars {
        file: "latency.svg",
        title: "Durable write, 99th percentile",
        metric: "p99_us",
        unit: "µs",
        workloads: &[("durable-1-thread", "1 thread"), ("durable-64-threads", "64 threads")],
    },
    Bars {
        file: "os.svg",
        title: "Writes that survive a killed process, not a power cut",
        metric: "ops_per_s",
        unit: "per second",
        workloads: &[("os-1-thread", "1 thread"), ("os-8-threads", "8 threads")],
    },
    Bars {
        file: "reads.svg",
        title: "Random reads of 1,000,000 records",
        metric: "ops_per_s",
        unit: "per second",
        workloads: &[("get-1m-1-thread", "1 thread"), ("get-1m-2-threads-writer", "2 threads beside a writer")],
    },
];

/// Writes the plots of what was measured into a folder. A plot of which nothing was measured is left out.
pub(crate) fn write(report: &Report, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    for plot in LINES {
        plot.write(report, &dir.join(plot.file))?;
    }
    for plot in BARS {
        plot.write(report, &dir.join(plot.file))?;
    }
    Ok(())
}

impl Lines {
    fn write(&self, report: &Report, path: &Path) -> Result<()> {
        let of_store = |store| -> Vec<(i32, f64)> {
            let figures = (0..).zip(self.workloads).filter_map(|(at, (workload, _))| {
                let value = report.value(workload, store, None, self.metric)?;
                Some((at, value))
            });
            figures.collect()
        };
        let lines: Vec<_> = STORES.iter().map(|(store, colour)| (*store, *colour, of_store(store))).collect();
        let lines: Vec<_> = lines.into_iter().filter(|(.., points)| points.len() > 1).collect();
        let values = || lines.iter().flat_map(|(.., points)| points.iter().map(|(_, value)| *value));
        if lines.is_empty() {
            return Ok(());
        }
        let least = values().fold(f64::INFINITY, f64::min);
        let most = values().fold(0.0, f64::max);

        let root = page(path, 420)?;
        title(&root, self.title)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(MARGIN)
            .margin_top(TITLE_HEIGHT)
            .margin_right(NAMES)
            .x_label_area_size(46)
            .y_label_area_size(76)
            .build_cartesian_2d(0..self.workloads.len() as i32 - 1, (least / 1.5..most * 1.5).log_scale())?;
        let tick = |at: &i32| {
            let found = usize::try_from(*at).ok().and_then(|at| self.workloads.get(at));
            found.map_or(String::new(), |(_, label)| (*label).to_owned())
        };
        chart
            .configure_mesh()
            .x_labels(self.workloads.len())
            .x_label_formatter(&tick)
            .x_desc(self.along)
            .y_label_formatter(&|value| round(*value))
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style((FONT, 14).into_font().color(&INK))
            .axis_desc_style((FONT, 14).into_font().color(&INK))
            .draw()?;
        let mut names = Vec::new();
        for (store, colour, points) in &lines {
            let width = if *store == "persist" { 3 } else { 2 };
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(width)))?;
            chart.draw_series(points.iter().map(|point| Circle::new(*point, width + 1, colour.filled())))?;
            if let Some(last) = points.last() {
                names.push((chart.backend_coord(last), *store, *colour));
            }
        }
        // From the top down, each at least a line below the one before.
        names.sort_by_key(|((_, y), ..)| *y);
        let mut free = i32::MIN;
        for ((x, y), store, colour) in names {
            let y = y.max(free);
            free = y + 16;
            let style = (FONT, 14).into_font().color(&colour).pos(Pos::new(HPos::Left, VPos::Center));
            root.draw(&Text::new(store, (x + 10, y), style))?;
        }
        Ok(root.present()?)
    }
}

impl Bars {
    fn write(&self, report: &Report, path: &Path) -> Result<()> {
        const BAR: i32 = 18;
        const HEAD: i32 = 30;
        let group = |workload| -> Vec<(&str, RGBColor, f64)> {
            let figures = STORES.iter().filter_map(|(store, colour)| {
                let value = report.value(workload, store, None, self.metric)?;
                Some((*store, *colour, value))
            });
            figures.collect()
        };
        let groups: Vec<_> = self.workloads.iter().map(|(workload, label)| (*label, group(workload))).collect();
        let groups: Vec<_> = groups.into_iter().filter(|(_, bars)| !bars.is_empty()).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let most = groups.iter().flat_map(|(_, bars)| bars.iter().map(|(.., value)| *value)).fold(0.0, f64::max);
        let bars: i32 = groups.iter().map(|(_, bars)| HEAD + bars.len() as i32 * BAR).sum();

        let root = page(path, (TITLE_HEIGHT + bars + MARGIN) as u32)?;
        title(&root, self.title)?;
        let room = f64::from(WIDTH as i32 - NAMES - 2 * MARGIN - 140);
        let mut y = TITLE_HEIGHT;
        for (label, bars) in groups {
            let head = (FONT, 14, FontStyle::Bold).into_font().color(&INK);
            root.draw(&Text::new(label, (MARGIN, y + 8), head))?;
            y += HEAD;
            for (store, colour, value) in bars {
                let (left, middle) = (MARGIN + NAMES, y + BAR / 2);
                let right = left + (value / most * room).max(1.0) as i32;
                let name = (FONT, 14).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
                root.draw(&Text::new(store, (left - 8, middle), name))?;
                root.draw(&Rectangle::new([(left, y + 2), (right, y + BAR - 2)], colour.filled()))?;
                let figure = (FONT, 13).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
                root.draw(&Text::new(format!("{} {}", number(value), self.unit), (right + 6, middle), figure))?;
                y += BAR;
            }
        }
        Ok(root.present()?)
    }
}

fn page(path: &Path, height: u32) -> Result<Area<'_>> {
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    Ok(root)
}

fn title(root: &Area<'_>, title: &str) -> Result<()> {
    let style = (FONT, 18).into_font().color(&INK);
    Ok(root.draw(&Text::new(title, (MARGIN, MARGIN - 4), style))?)
}

/// A number at the axis, if there is room for it.
fn round(value: f64) -> String {
    let leading = value / 10f64.powf((value.log10() + 1e-9).floor());
    if [1.0, 2.0, 5.0].iter().any(|shown| (leading - shown).abs() < 1e-6) { number(value) } else { String::new() }
}

/// A number with three digits that count.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs().max(1e-9).log10().floor() as i32;
    let unit = 10f64.powi(magnitude - 2);
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0).min(2);
    let digits = format!("{:.decimals$}", (value / unit).round() * unit);
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

//! The experiment of the essay: throughput against the number of concurrent clients, as a table and as a picture.

use std::{fs, path::Path};

use plotters::prelude::*;

use crate::{
    load::{Load, Place},
    sample::{Plan, Sample, Samples, grouped, measure},
    speed::ESSAY,
    subject::Running,
};

/// The numbers of clients that the table shows. The picture shows all.
const SHOWN: [usize; 8] = [1, 2, 3, 4, 8, 16, 32, 42];

const SIZE: (u32, u32) = (900, 540);

/// How far the picture goes above the highest value, so that there is room for the names.
const ROOM: f64 = 1.35;

/// A colour for each server of [`ESSAY`].
const COLOURS: [RGBColor; ESSAY.len()] = [
    RGBColor(0x1f, 0x4e, 0x8c),
    RGBColor(0xc0, 0x39, 0x2b),
    RGBColor(0xe0, 0x9b, 0x22),
    RGBColor(0x2e, 0x8b, 0x57),
    RGBColor(0x7d, 0x3c, 0x98),
];

/// The samples of one server at each number of clients.
type Line = Vec<(usize, Samples)>;

/// Measures all servers with one client and more.
pub fn sweep(plan: &Plan) {
    println!("### Throughput against concurrent clients\n");
    println!(
        "Requests a second with one in flight for each client, nothing pinned and no disk; median (least to most) \
         of {} rounds of {} ms.\n",
        plan.sweep_rounds,
        plan.sweep_sample.as_millis()
    );
    let running: Vec<Running> = ESSAY
        .iter()
        .map(|subject| subject.start(Place::Free))
        .collect();
    let mut lines: Vec<Line> = vec![Vec::new(); ESSAY.len()];
    for clients in 1..=plan.sweep_clients {
        let mut samples = vec![Samples::default(); ESSAY.len()];
        for _ in 0..plan.sweep_rounds {
            for (server, samples) in running.iter().zip(&mut samples) {
                let load = Load::new(clients, 1);
                let sample = measure(server, load, Place::Free, plan.sweep_sample, plan.warmup);
                samples.0.push(sample);
            }
        }
        for (line, samples) in lines.iter_mut().zip(samples) {
            line.push((clients, samples));
        }
    }
    table(&lines);
    if let Some(path) = &plan.plot {
        draw(path, &lines).unwrap_or_else(|error| panic!("--plot {}: {error}", path.display()));
    }
}

fn requests(sample: &Sample) -> f64 {
    sample.requests
}

fn table(lines: &[Line]) {
    let names: Vec<&str> = ESSAY.iter().map(|subject| subject.name()).collect();
    println!("| clients | {} |", names.join(" | "));
    println!("| ---: |{}", " ---: |".repeat(names.len()));
    for place in 0..lines[0].len() {
        let clients = lines[0][place].0;
        if SHOWN.contains(&clients) {
            let cells = lines.iter().map(|line| line[place].1.show(requests, 0));
            println!("| {clients} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    println!();
}

fn draw(path: &Path, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let all = lines.iter().flatten();
    let highest = all
        .clone()
        .flat_map(|(_, samples)| &samples.0)
        .map(requests)
        .fold(1.0, f64::max);
    let clients = all.map(|(clients, _)| *clients).max().unwrap_or(1) as f64;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..clients * 1.02, 0.0..highest * ROOM)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("concurrent clients, one request in flight each")
            .y_desc("requests a second")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| grouped(*y, 0))
            .draw()?;
        for ((subject, line), colour) in ESSAY.iter().zip(lines).zip(COLOURS) {
            let medians = line
                .iter()
                .map(|(clients, samples)| (*clients as f64, samples.median(requests)));
            chart
                .draw_series(LineSeries::new(medians, colour.stroke_width(2)))?
                .label(subject.name())
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        root.present()?;
    }
    fs::write(path, text)?;
    Ok(())
}

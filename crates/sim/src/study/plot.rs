//! Draws docs/scale.svg: how soon all servers have absorbed a sequence, and how much the cluster sends for it.

use std::ops::Range;

use plotters::prelude::*;

use super::rows::{Row, middle_and_most, theory};

const SIZE: (u32, u32) = (960, 420);

/// One color for each fanout.
const COLORS: [RGBColor; 4] = [
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x33, 0x33, 0x33),
];

type Fault = Box<dyn std::error::Error>;

/// The plot of these rows, without loss.
pub fn plot(rows: &[Row]) -> Result<String, Fault> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let halves = root.split_evenly((1, 2));
        let mut fanouts: Vec<Option<usize>> = rows.iter().map(|row| row.fanout).collect();
        fanouts.sort_by_key(|fanout| fanout.unwrap_or(usize::MAX));
        fanouts.dedup();
        rounds(&halves[0], rows, &fanouts)?;
        messages(&halves[1], rows, &fanouts)?;
        root.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn rounds(area: &Area, rows: &[Row], fanouts: &[Option<usize>]) -> Result<(), Fault> {
    let mut chart = chart_on(area, "rounds until all have absorbed a sequence")
        .build_cartesian_2d(sizes().log_scale(), 0.0..10.0)?;
    chart
        .configure_mesh()
        .x_desc("servers")
        .y_desc("rounds: points the median, bars the longest, dashes theory")
        .x_label_formatter(&whole)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (fanout, color) in fanouts.iter().zip(COLORS) {
        let rows = || rows.iter().filter(|row| row.fanout == *fanout);
        let spread = |row: &Row| middle_and_most(&row.measured[0].intervals);
        let points: Vec<(f64, f64)> = rows()
            .map(|row| (row.servers as f64, spread(row).0))
            .collect();
        let expected = rows().map(|row| (row.servers as f64, theory(row.servers, row.fanout)));
        chart.draw_series(DashedLineSeries::new(expected, 4, 4, color.into()))?;
        chart.draw_series(rows().map(|row| {
            let (middle, most) = spread(row);
            let x = row.servers as f64;
            PathElement::new(vec![(x, middle), (x, most)], color)
        }))?;
        let circles = points
            .iter()
            .map(|point| Circle::new(*point, 4, color.filled()));
        chart.draw_series(circles)?;
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(name(*fanout))
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 16, y)], color.stroke_width(2))
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

fn messages(area: &Area, rows: &[Row], fanouts: &[Option<usize>]) -> Result<(), Fault> {
    let mut chart = chart_on(area, "messages a second between all servers")
        .build_cartesian_2d(sizes().log_scale(), (1e0..1e7).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("servers")
        .y_desc("messages a second, one round a second")
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (fanout, color) in fanouts.iter().zip(COLORS) {
        let rows = rows.iter().filter(|row| row.fanout == *fanout);
        let points: Vec<(f64, f64)> = rows
            .map(|row| (row.servers as f64, row.measured[0].messages))
            .collect();
        let circles = points
            .iter()
            .map(|point| Circle::new(*point, 4, color.filled()));
        chart.draw_series(circles)?;
        chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
    }
    Ok(())
}

fn chart_on<'a, 'b>(
    area: &'a Area<'b>,
    caption: impl AsRef<str>,
) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart
        .caption(caption, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70);
    chart
}

/// From a little less than the least to a little more than the most.
fn sizes() -> Range<f64> {
    2.0..1500.0
}

fn whole(number: &f64) -> String {
    format!("{number:.0}")
}

fn name(fanout: Option<usize>) -> String {
    match fanout {
        Some(few) => format!("fanout {few}"),
        None => "fanout all".to_owned(),
    }
}

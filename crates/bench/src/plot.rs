//! The sweep as a picture: throughput against the number of connections, and how far the rounds are apart.

use std::{fs, path::Path};

use plotters::prelude::*;

use crate::{report::Point, settings::Settings};

const SIZE: (u32, u32) = (900, 540);
const INK: RGBColor = RGBColor(0x1f, 0x4e, 0x8c);

/// Checks that the file can be written, before anything is measured. It creates the file, or empties it.
pub fn prepare(path: &Path) -> Result<(), String> {
    fs::File::create(path)
        .map(drop)
        .map_err(|error| format!("--plot: cannot write {}: {error}", path.display()))
}

/// Draws the sweep into the file at `path`, over what it held.
pub fn draw(path: &Path, settings: &Settings, points: &[Point]) -> Result<(), String> {
    let picture = picture(settings, points)
        .map_err(|error| format!("--plot: cannot draw {}: {error}", path.display()))?;
    fs::write(path, picture)
        .map_err(|error| format!("--plot: cannot write {}: {error}", path.display()))
}

fn picture(settings: &Settings, points: &[Point]) -> Result<String, Box<dyn std::error::Error>> {
    let measured: Vec<_> = points
        .iter()
        .filter_map(|point| Some((point.connections as f64, point.throughput()?)))
        .collect();
    let highest = measured.iter().map(|(_, spread)| spread.most);
    let highest = highest.fold(1.0, f64::max) * 1.05;
    let last = settings.points.last().copied().unwrap_or(1) as f64;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(settings.summary(), ("sans-serif", 15))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..last * 1.02, 0.0..highest)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("connections")
            .y_desc("requests a second (median, and the least and the most of all rounds)")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| grouped(*y))
            .draw()?;
        let spreads = measured.iter().map(|(x, spread)| {
            PathElement::new(vec![(*x, spread.least), (*x, spread.most)], INK.mix(0.45))
        });
        chart.draw_series(spreads)?;
        let medians = measured.iter().map(|(x, spread)| (*x, spread.median));
        chart.draw_series(LineSeries::new(medians.clone(), INK.stroke_width(2)))?;
        chart.draw_series(medians.map(|point| Circle::new(point, 3, INK.filled())))?;
        root.present()?;
    }
    Ok(text)
}

/// A number with a space after each third digit from the end.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_threes() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(1_234_567.4), "1 234 567");
    }
}

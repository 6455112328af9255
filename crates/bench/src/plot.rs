//! The sweep as a picture: throughput and latency against the number of connections, and how far the rounds are apart.

use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, ValueFormatter},
    },
    prelude::*,
};

use crate::{
    report::{Point, Spread},
    settings::Settings,
};
use ipseity_console::grouped;

const SIZE: (u32, u32) = (900, 960);
const TITLE: i32 = 15;
const HEADING: i32 = 14;
const INK: RGBColor = RGBColor(0x1f, 0x4e, 0x8c);
const SECOND_INK: RGBColor = RGBColor(0xb3, 0x5c, 0x1e);

/// Numbers whose greatest is this many times the least have an axis that is logarithmic: on a linear one the small ones
/// would all lie in a corner.
const LOG_FROM: f64 = 100.0;

/// The least and the greatest number of an axis.
type Span = (f64, f64);

/// One curve: its name, its colour, and its points.
type Curve = (&'static str, RGBColor, Vec<(f64, Spread)>);

/// What is drawn into one half of the picture.
struct Panel {
    heading: &'static str,
    unit: &'static str,
    label: fn(f64) -> String,
    curves: Vec<Curve>,
}

/// The sweep as the text of an SVG file.
pub fn picture(settings: &Settings, points: &[Point]) -> Result<String, String> {
    draw(settings, points).map_err(|error| format!("--plot: cannot draw: {error}"))
}

fn draw(settings: &Settings, points: &[Point]) -> Result<String, Box<dyn std::error::Error>> {
    let measured = |of: &dyn Fn(&Point) -> Option<Spread>| -> Vec<(f64, Spread)> {
        points
            .iter()
            .filter_map(|point| Some((point.connections as f64, of(point)?)))
            .collect()
    };
    let panels = [
        Panel {
            heading: "Throughput: the median of all rounds, from the least to the most",
            unit: "requests a second",
            label: |number| grouped(number.round() as u64),
            curves: vec![("requests", INK, measured(&Point::throughput))],
        },
        Panel {
            heading: "Latency: the median of all rounds, from the least to the most",
            unit: "milliseconds",
            // A sum of binary fractions has digits that say nothing.
            label: |number| ((number * 1e6).round() / 1e6).to_string(),
            curves: vec![
                ("p50", INK, measured(&Point::p50_ms)),
                ("p99", SECOND_INK, measured(&Point::p99_ms)),
            ],
        },
    ];
    let counts = settings.points.iter().map(|count| *count as f64);
    let counts = span(counts);
    let summary = settings.summary();
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let root = root.titled(&summary, ("sans-serif", TITLE))?;
        for (area, panel) in root.split_evenly((2, 1)).iter().zip(&panels) {
            panel.draw(area, counts)?;
        }
        root.present()?;
    }
    Ok(entitled(&text, &summary))
}

impl Panel {
    /// Chooses the axes.
    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        counts: Span,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let spreads = self.curves.iter().flat_map(|(_, _, points)| points);
        let heights = span(spreads.flat_map(|(_, spread)| [spread.least, spread.most]));
        let (x, y) = (0.0..counts.1 * 1.02, 0.0..heights.1 * 1.05);
        let log = |(least, most): Span| (least * 0.9..most * 1.1).log_scale();
        match (is_wide(counts), is_wide(heights)) {
            (false, false) => self.draw_on(area, x, y),
            (true, false) => self.draw_on(area, log(counts), y),
            (false, true) => self.draw_on(area, x, log(heights)),
            (true, true) => self.draw_on(area, log(counts), log(heights)),
        }
    }

    fn draw_on<X, Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        x: X,
        y: Y,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(self.heading, ("sans-serif", HEADING))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("connections")
            .y_desc(self.unit)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| (self.label)(*y))
            .draw()?;
        for (name, ink, points) in &self.curves {
            let ink = *ink;
            let spreads = points.iter().map(|(x, spread)| {
                PathElement::new(vec![(*x, spread.least), (*x, spread.most)], ink.mix(0.45))
            });
            chart.draw_series(spreads)?;
            let medians = points.iter().map(|(x, spread)| (*x, spread.median));
            chart
                .draw_series(LineSeries::new(medians.clone(), ink.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], ink));
            chart.draw_series(medians.map(|point| Circle::new(point, 3, ink.filled())))?;
        }
        if self.curves.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE)
                .border_style(TRANSPARENT)
                .draw()?;
        }
        Ok(())
    }
}

/// The least and the greatest of these numbers. Without any that is above zero, from 1 to 1.
fn span(numbers: impl Iterator<Item = f64>) -> Span {
    let above_zero = numbers.filter(|number| *number > 0.0);
    let span = above_zero.fold(None, |span: Option<Span>, number| match span {
        None => Some((number, number)),
        Some((least, most)) => Some((least.min(number), most.max(number))),
    });
    span.unwrap_or((1.0, 1.0))
}

fn is_wide((least, most): Span) -> bool {
    most >= least * LOG_FROM
}

/// The picture with a title that a browser shows and a screen reader reads.
fn entitled(svg: &str, title: &str) -> String {
    let title = title
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    match svg.split_once('>') {
        Some((root, rest)) => format!("{root}>\n<title>{title}</title>{rest}"),
        None => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_span_decades_have_a_logarithmic_axis() {
        assert!(!is_wide(span([1.0, 42.0].into_iter())));
        assert!(is_wide(span([1.0, 10.0, 100.0].into_iter())));
        assert!(is_wide(span([1000.0, 0.0, 3.0].into_iter())));
        assert_eq!(span(std::iter::empty()), (1.0, 1.0));
    }

    #[test]
    fn a_title_is_text_and_no_markup() {
        assert_eq!(
            entitled("<svg a=\"b\">\n</svg>\n", "a<b>&c"),
            "<svg a=\"b\">\n<title>a&lt;b&gt;&amp;c</title>\n</svg>\n"
        );
    }
}

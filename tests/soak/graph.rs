//! Samples of a soak as a line, as a row of blocks, and as a graph.

use std::fmt::{self, Write as _};

/// What was measured in one second.
pub struct Sample {
    pub second: u64,
    /// KiB.
    pub resident: u64,
    /// Ticks in this second: of a hundred.
    pub processor: u64,
    pub sent: u64,
    pub arrived: u64,
    pub tables: Vec<(String, u64)>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { second, resident, processor, sent, arrived, tables } = self;
        let resident = *resident as f64 / 1024.0;
        write!(f, "{second:6} {resident:6.1} {processor:6} {sent:9} {arrived:9} ")?;
        tables.iter().try_for_each(|(name, number)| write!(f, " {name}={number}"))
    }
}

/// Memory over time from zero to its most, at most 80 blocks.
pub fn sparks(samples: &[Sample]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = samples.iter().map(|sample| sample.resident).max().unwrap_or(0).max(1);
    samples
        .iter()
        .step_by(samples.len().div_ceil(80).max(1))
        .map(|sample| BLOCKS[(sample.resident * 7 / most) as usize])
        .collect()
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 30.0;

/// An SVG: memory over time, and the stations in the tables.
pub fn drawn(samples: &[Sample], title: &str) -> String {
    let last = samples.last().map_or(1, |sample| sample.second).max(1) as f64;
    let memory: Vec<(f64, f64)> = samples
        .iter()
        .map(|sample| (sample.second as f64 / last, sample.resident as f64 / 1024.0))
        .collect();
    let known: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|sample| {
            let (_, number) = sample.tables.iter().find(|(name, _)| name == "stations")?;
            Some((sample.second as f64 / last, *number as f64 / 1000.0))
        })
        .collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 880 350\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"880\" height=\"350\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"18\">{title}</text>\n"
    );
    let bottom = TOP + HEIGHT;
    let most = |points: &[(f64, f64)]| {
        let most = points.iter().map(|point| point.1).fold(1.0, f64::max);
        // To two digits, upwards.
        let unit = 10f64.powf(most.log10().floor() - 1.0);
        (most / unit).ceil() * unit
    };
    let scales = (most(&memory), most(&known));
    for step in 0..=4 {
        let (share, y) = (f64::from(step) / 4.0, bottom - HEIGHT * f64::from(step) / 4.0);
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {y}h{WIDTH}\" stroke=\"#ddd\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#b33\">{:.0} MiB</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{:.0} s</text>\n",
            LEFT - 4.0,
            y + 4.0,
            scales.0 * share,
            LEFT + WIDTH * share,
            bottom + 16.0,
            last * share,
        );
        if !known.is_empty() {
            let x = LEFT + WIDTH + 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{}\" fill=\"#36c\">{:.0} k</text>",
                y + 4.0,
                scales.1 * share
            );
        }
    }
    for (points, scale, colour) in [(&known, scales.1, "#36c"), (&memory, scales.0, "#b33")] {
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", LEFT + WIDTH * x, bottom - HEIGHT * y / scale))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            path.join(" ")
        );
    }
    let half = LEFT + WIDTH / 2.0;
    let _ = write!(
        svg,
        "<path d=\"M{half} {TOP}v{HEIGHT}\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>\n\
         <text x=\"{LEFT}\" y=\"{}\" fill=\"#b33\">resident memory</text>\n\
         <text x=\"{}\" y=\"{}\" fill=\"#36c\">stations known, thousands</text>\n</svg>\n",
        bottom + 40.0,
        LEFT + 160.0,
        bottom + 40.0,
    );
    svg
}

//! Faults as a person sees them at the terminal: the row, with a mark under what is wrong in it.

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};
use unicode_width::UnicodeWidthStr;

use super::fault::{Excerpt, Fault, Severity};
use crate::texts::Texts;

/// Between two cells of a drawn row. Plain, because box-drawing lines are two columns wide in some Chinese
/// terminals and one in others.
const BETWEEN: &str = " | ";
const CUT: &str = "...";

/// Every fault drawn, for a terminal of this many columns, without colour.
pub fn draw(faults: &[Fault], texts: &Texts, width: usize) -> String {
    render(faults, texts, width, Renderer::plain())
}

/// The same with ANSI colours, for a stream that takes them or strips them.
pub fn paint(faults: &[Fault], texts: &Texts, width: usize) -> String {
    render(faults, texts, width, Renderer::styled())
}

fn render(faults: &[Fault], texts: &Texts, width: usize, renderer: Renderer) -> String {
    let renderer = renderer.term_width(width.max(40));
    let mut drawn = String::new();
    for fault in faults {
        drawn += &one(fault, texts, width.max(40), &renderer);
        drawn += "\n\n";
    }
    drawn
}

fn one(fault: &Fault, texts: &Texts, width: usize, renderer: &Renderer) -> String {
    let level = match fault.severity {
        Severity::Error => Level::ERROR.with_name(texts.say("registry-error", &[])),
        Severity::Warning => Level::WARNING.with_name(texts.say("registry-warning", &[])),
    };
    let help = Level::HELP.with_name(texts.say("registry-help", &[])).message(fault.mend(texts));
    let mut elements: Vec<Element<'_>> = Vec::new();
    let title = match (&fault.excerpt, fault.row) {
        (Some(excerpt), Some(row)) => {
            let number = row.to_string();
            let empty = texts.say("registry-empty", &[]);
            let room = width.saturating_sub(number.len()).saturating_sub(4);
            let (line, from, to) = lay(excerpt, fault.value.raw(), &empty, room);
            let label = fault.column.as_ref().map(|column| column.terminal());
            let snippet = Snippet::source(line)
                .line_start(usize::try_from(row).unwrap_or(usize::MAX))
                .path(fault.whereabouts(texts))
                .annotation(AnnotationKind::Primary.span(from..to).label(label));
            elements.push(snippet.into());
            fault.problem(texts)
        }
        _ => fault.sentence(texts),
    };
    elements.push(help.into());
    renderer.render(&[level.primary_title(title).elements(elements)])
}

/// The cells around the one at fault, as many as there is room for, and the octets of what is at fault.
fn lay(excerpt: &Excerpt, value: &str, empty: &str, room: usize) -> (String, usize, usize) {
    let source = if excerpt.cells.is_empty() { &excerpt.headings } else { &excerpt.cells };
    let shown = |at: usize| source.get(at).map(|cell| cell.terminal()).unwrap_or_default();
    let mut own = cut(&shown(excerpt.at), room.saturating_sub(12));
    if own.trim().is_empty() {
        own = empty.to_owned();
    }
    // Within a cell of several values, the one that is wrong.
    let (mut from, mut to) = (0, own.len());
    let value = crate::observe::Foreign::new(value).terminal();
    if !value.is_empty()
        && let Some(at) = own.find(&value)
    {
        (from, to) = (at, at.saturating_add(value.len()));
    }
    let margin = CUT.len().saturating_add(BETWEEN.len()).saturating_mul(2);
    let mut left_room = room.saturating_sub(own.width()).saturating_sub(margin);
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    let mut next_left = excerpt.at.checked_sub(1);
    let mut next_right = Some(excerpt.at.saturating_add(1)).filter(|at| *at < source.len());
    let mut take = |at: usize| -> Option<String> {
        let cell = cut(&shown(at), 24);
        let needs = cell.width().saturating_add(BETWEEN.len());
        left_room = left_room.checked_sub(needs)?;
        Some(cell)
    };
    loop {
        let mut taken = false;
        if let Some(at) = next_left
            && let Some(cell) = take(at)
        {
            before.push(cell);
            next_left = at.checked_sub(1);
            taken = true;
        }
        if let Some(at) = next_right
            && let Some(cell) = take(at)
        {
            behind.push(cell);
            next_right = Some(at.saturating_add(1)).filter(|at| *at < source.len());
            taken = true;
        }
        if !taken {
            break;
        }
    }
    let mut line = String::new();
    if next_left.is_some() {
        line += CUT;
        line += BETWEEN;
    }
    for cell in before.iter().rev() {
        line += cell;
        line += BETWEEN;
    }
    let start = line.len();
    line += &own;
    for cell in &behind {
        line += BETWEEN;
        line += cell;
    }
    if next_right.is_some() {
        line += BETWEEN;
        line += CUT;
    }
    (line, start.saturating_add(from), start.saturating_add(to))
}

/// At most so many columns of a text.
fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if short.width().saturating_add(CUT.len()) > most {
            short.pop();
            break;
        }
    }
    short + CUT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(cells: &[&str], at: usize) -> Excerpt {
        let headings = ["单位编码", "资产名称", "ip", "mac"];
        Excerpt::of(headings.into_iter(), cells.iter().copied(), at)
    }

    #[test]
    fn the_mark_is_on_the_value_within_the_cell() {
        let cells = ["430102", "打印机", "10.20.1.7 10.20.1.300", ""];
        let (line, from, to) = lay(&excerpt(&cells, 2), "10.20.1.300", "(empty)", 80);
        assert_eq!(line, "430102 | 打印机 | 10.20.1.7 10.20.1.300 | ");
        assert_eq!(line.get(from..to), Some("10.20.1.300"));
    }

    #[test]
    fn a_long_row_is_shown_around_the_fault() {
        let wide = "很长的名称".repeat(10);
        let cells = [wide.as_str(), wide.as_str(), "10.20.1.300", wide.as_str()];
        for room in [30, 40, 60, 100] {
            let (line, from, to) = lay(&excerpt(&cells, 2), "10.20.1.300", "(empty)", room);
            assert_eq!(line.get(from..to), Some("10.20.1.300"));
            assert!(line.width() <= room, "{line}");
        }
    }

    #[test]
    fn an_empty_or_hostile_cell_is_seen() {
        let (line, from, to) = lay(&excerpt(&["430102", "", "a", "b"], 1), "", "(empty)", 80);
        assert_eq!(line.get(from..to), Some("(empty)"));
        let hostile = "\u{1b}[2J\u{202e}x";
        let (line, _, _) = lay(&excerpt(&[hostile], 0), hostile, "(empty)", 80);
        assert!(!line.contains(['\u{1b}', '\u{202e}']), "{line}");
    }
}

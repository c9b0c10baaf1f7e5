//! The report as a browser lays it out: no text cut, none over another, nothing run that came from
//! the network. Needs Chromium; without it these say "not run".

mod fixture;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiebei::report;
use jiebei::result::v1::SweepResult;
use jiebei::texts::{Language, Texts};

/// Looks at the page from inside and leaves what is wrong with it in an attribute.
const AUDIT: &str = r#"
(function () {
  var faults = [], wide = document.documentElement.clientWidth;
  function name(e) {
    var of = e.closest('section,header,footer');
    return (of ? (of.id || of.tagName) + ' ' : '') + e.tagName + '.' + (e.getAttribute('class') || '') +
      ' ' + JSON.stringify((e.textContent || '').trim().slice(0, 40));
  }
  function fault(what, e) { if (faults.length < 20) { faults.push(what + ': ' + name(e)); } }
  function scrolls(e) { return !!e.closest('.scroll') && e.closest('.scroll') !== e; }
  if (document.documentElement.scrollWidth > wide + 1) { faults.push('the page is wider than its window'); }
  [].forEach.call(document.querySelectorAll('main *'), function (e) {
    if (e.closest('svg')) { return; }
    var style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (style.display === 'none' || style.display === 'inline' || !box.width) { return; }
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && style.overflowX !== 'auto') { fault('cut', e); }
    if (box.right > wide + 1 && !scrolls(e)) { fault('outside', e); }
  });
  // Every line of every text, and no two over one another.
  var lines = [], walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    var node = walker.currentNode, parent = node.parentElement;
    if (!node.textContent.trim() || parent.closest('svg,script,style')) { continue; }
    var range = document.createRange();
    range.selectNodeContents(node);
    [].forEach.call(range.getClientRects(), function (r) {
      if (r.width > 1) { lines.push({ r: r, e: parent, n: node }); }
    });
  }
  function over(a, b, x, y) {
    return Math.min(a.right, b.right) - Math.max(a.left, b.left) > x &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > y;
  }
  lines.sort(function (a, b) { return a.r.top - b.r.top; });
  for (var i = 0; i < lines.length; i += 1) {
    for (var j = i + 1; j < lines.length && lines[j].r.top < lines[i].r.bottom; j += 1) {
      if (lines[i].n !== lines[j].n && over(lines[i].r, lines[j].r, 2, 5)) { fault('one over another', lines[i].e); }
    }
  }
  // The drawings: texts apart from one another, and inside their boxes.
  var texts = 0;
  [].forEach.call(document.querySelectorAll('svg.map'), function (svg) {
    var all = [].slice.call(svg.querySelectorAll('text')), whole = svg.getBoundingClientRect();
    var boxes = all.map(function (t) { return t.getBoundingClientRect(); });
    texts += all.length;
    all.forEach(function (t, i) {
      if (boxes[i].left < whole.left - 1 || boxes[i].right > whole.right + 1 || boxes[i].bottom > whole.bottom + 1) { fault('outside the drawing', t); }
      var group = t.closest('g.segment,g.node');
      if (group) {
        var body = group.querySelector('rect').getBoundingClientRect();
        if (boxes[i].right > body.right + 1 || boxes[i].left < body.left - 1 || boxes[i].bottom > body.bottom + 2) { fault('outside its box', t); }
      }
      for (var j = i + 1; j < all.length; j += 1) {
        if (over(boxes[i], boxes[j], 1, 4)) { fault('one over another in the drawing', t); }
      }
    });
  });
  // The filter shows what it says, and all of it again.
  function press(kind, value) {
    var button = document.querySelector('.filter button[data-kind="' + kind + '"]' + (value ? '[data-value="' + value + '"]' : ''));
    if (button) { button.click(); }
    return !!button;
  }
  var cards = [].slice.call(document.querySelectorAll('.card'));
  if (press('severity', 'high')) {
    cards.forEach(function (card) {
      if (card.hidden === (card.getAttribute('data-severity') === 'high')) { fault('the filter', card); }
    });
    press('all');
    cards.forEach(function (card) { if (card.hidden) { fault('the filter', card); } });
  }
  var body = document.body;
  body.setAttribute('data-lines', String(lines.length));
  body.setAttribute('data-drawn', String(texts));
  body.setAttribute('data-verdict', faults.length ? faults.join(' | ') : 'sound');
}());
"#;

/// The browser, where there is one.
fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

fn browse(browser: &str, profile: &Path, page: &Path, width: u32, more: &[String]) -> Vec<u8> {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},1400"))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .stderr(Stdio::null())
        .output()
        .expect("the browser runs");
    output.stdout
}

fn page(result: &SweepResult, language: Language) -> String {
    let mut out = Vec::new();
    let format = report::named("html").expect("a format");
    format.write(result, &Texts::of(language), &mut out).expect("written");
    String::from_utf8(out).expect("UTF-8")
}

/// The page with the policy away (so that what is hostile could run) and the audit at its end.
fn audited(page: &str) -> String {
    let start = page.find("<meta http-equiv").expect("a policy");
    let end = start + page[start..].find('>').expect("its end") + 1;
    let page = format!("{}{}", &page[..start], &page[end..]);
    page.replace("</body>", &format!("<script>{AUDIT}</script></body>"))
}

fn attribute<'a>(dom: &'a str, name: &str) -> &'a str {
    let from = dom.find(&format!("{name}=\"")).expect("the audit ran") + name.len() + 2;
    dom[from..].split('"').next().unwrap_or_default()
}

/// Where the pictures are left for people to look at.
fn gallery() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screens");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn reports_are_laid_out_whole() {
    let Some(browser) = chromium() else {
        println!("not run: chromium is not installed");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("profile");
    let gallery = gallery();
    for language in Language::ALL {
        let word = language.word();
        for (name, result) in [
            ("rich", fixture::rich(word)),
            ("clean", fixture::clean(word)),
            ("cut", fixture::cut_short(word)),
            ("empty", fixture::empty(word)),
            ("large", fixture::large(word)),
        ] {
            let widths: &[u32] = if name == "large" { &[1280] } else { &[1280, 800] };
            let html = page(&result, language);
            let file = folder.path().join(format!("{name}-{word}.html"));
            std::fs::write(&file, &html).expect("written");
            let audit = folder.path().join(format!("{name}-{word}-audit.html"));
            std::fs::write(&audit, audited(&html)).expect("written");
            for &width in widths {
                let dom = browse(browser, &profile, &audit, width, &["--dump-dom".to_owned()]);
                let dom = String::from_utf8_lossy(&dom);
                let what = format!("{name} {word} {width}");
                assert_eq!(attribute(&dom, "data-verdict"), "sound", "{what}");
                let lines: usize = attribute(&dom, "data-lines").parse().expect("a number");
                assert!(lines > 50, "{what}: {lines} lines of text");
                if name == "rich" {
                    let drawn: usize = attribute(&dom, "data-drawn").parse().expect("a number");
                    assert!(drawn > 100, "{what}: {drawn} texts drawn");
                }
                assert!(!dom.contains("<title>RAN"), "{what}: something hostile ran");
                assert_eq!(dom.matches("<script").count(), 2, "{what}: ours and the audit's");

                if name == "rich" || width == 1280 && name != "large" {
                    let picture = gallery.join(format!("{name}-{word}-{width}.png"));
                    let more = [format!("--screenshot={}", picture.display())];
                    browse(browser, &profile, &file, width, &more);
                    let picture = std::fs::read(&picture).expect("a picture");
                    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000, "{what}");
                }
            }
        }
    }
    println!("looked at; pictures in {}", gallery.display());
}

#[test]
fn the_audit_sees_what_is_wrong() {
    let Some(browser) = chromium() else {
        println!("not run: chromium is not installed");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let html = page(&fixture::clean("en"), Language::En);
    for (name, wrong) in [
        (
            "cut",
            "<p style='white-space:nowrap;width:60px;overflow:hidden'>much too long for its room</p>",
        ),
        ("over", "<p>a line of text</p><p style='margin-top:-24px'>another line of text</p>"),
        ("outside", "<p style='margin-left:1400px;width:200px'>far out</p>"),
        (
            "drawing",
            "<svg class='map' viewBox='0 0 100 20'><text x='1' y='12'>one</text><text x='3' y='12'>two</text></svg>",
        ),
    ] {
        let file = folder.path().join(format!("{name}.html"));
        let wrong =
            html.replace("<section id=\"notices\">", &format!("<section id=\"notices\">{wrong}"));
        std::fs::write(&file, audited(&wrong)).expect("written");
        let profile = folder.path().join("profile");
        let dom = browse(browser, &profile, &file, 1280, &["--dump-dom".to_owned()]);
        assert_ne!(attribute(&String::from_utf8_lossy(&dom), "data-verdict"), "sound", "{name}");
    }
}

#[test]
fn a_printed_report_is_whole() {
    let Some(browser) = chromium() else {
        println!("not run: chromium is not installed");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("profile");
    for language in Language::ALL {
        let word = language.word();
        let file = folder.path().join(format!("{word}.html"));
        std::fs::write(&file, page(&fixture::rich(word), language)).expect("written");
        let pdf = gallery().join(format!("rich-{word}.pdf"));
        let more =
            [format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer".to_owned()];
        browse(browser, &profile, &file, 1280, &more);
        assert!(std::fs::read(&pdf).expect("a document").starts_with(b"%PDF"), "{word}");
    }
}

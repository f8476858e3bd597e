//! Reports in a real browser: Chromium, where there is one. `CHROMIUM` names another program, `AXE_CORE`
//! the file axe.min.js of npm's axe-core, whose checks run then as well.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use linnaeus::{
    compare::{self, Comparison},
    config::Target,
    evaluate::{Evaluation, Options},
    job::{EvaluateSpec, Format},
    labels::Labels,
    output::{Destination, Output, Table},
    rank::Ranked,
    report,
    saved_run::Given,
};

mod browser;
#[macro_use]
mod told;

use browser::Browser;

macro_rules! browser_or_skip {
    () => {
        match Browser::start() {
            Ok(browser) => browser,
            Err(reason) => return told!("skipped: {reason}"),
        }
    };
}

/// A folder with predictions and reports.
struct Fixture {
    folder: tempfile::TempDir,
}

/// One image: its name, the class said, its probability, the class that it is.
type Said = (Vec<u8>, usize, f64, usize);

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes predictions as a run does, the truth beside them, and for each image a picture.
    fn write(&self, name: &str, labels: &[String], said: &[Said], pictures: bool) {
        let table =
            Table { format: Format::Csv, top_k: 2, labels: Labels::of_names(labels.to_vec()) };
        let mut output =
            Output::create(&Destination::of(&Target::File(self.path(name))).unwrap(), table)
                .unwrap();
        let mut truth = "path,index,site\n".to_owned();
        let picture = picture();
        for (at, (name, class, probability, is)) in said.iter().enumerate() {
            let second = if class == is { (is + 1) % labels.len() } else { *is };
            let ranked = [
                Ranked { class: *class, probability: *probability },
                Ranked { class: second, probability: (1.0 - probability) / 2.0 },
            ];
            output.write(name, Ok(&ranked)).unwrap();
            let cell = linnaeus::output::encode_name(name).replace('"', "\"\"");
            writeln!(truth, "\"{cell}\",{is},<b>site {}</b>", at % 2).unwrap();
            if pictures {
                let path = self.folder.path().join("images").join(OsStr::from_bytes(name));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &picture).unwrap();
            }
        }
        output.publish().unwrap();
        fs::write(self.path("truth.csv"), truth).unwrap();
    }

    fn spec(&self) -> (EvaluateSpec, Given) {
        let spec = EvaluateSpec { truth: Some(self.path("truth.csv")), ..EvaluateSpec::default() };
        (spec, Given { images: Some(self.path("images")), ..Given::default() })
    }

    fn write_text(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn evaluate(&self, name: &str) -> PathBuf {
        self.evaluate_with(name, None)
    }

    fn evaluate_with(&self, name: &str, corrections: Option<&str>) -> PathBuf {
        let (mut spec, given) = self.spec();
        spec.corrections = corrections.map(|name| self.path(name));
        let options = Options::resolve(spec, given).unwrap();
        let evaluation = Evaluation::new(&self.path(name), &options).unwrap();
        let page = self.path("report.html");
        report::write_evaluation(&evaluation, &page).unwrap();
        page
    }

    fn compare(&self, a: &str, b: &str) -> PathBuf {
        let (spec, given) = self.spec();
        let options = compare::Options::resolve(spec, given).unwrap();
        let comparison = Comparison::new([&self.path(a), &self.path(b)], &options).unwrap();
        let page = self.path("compare.html");
        report::write_comparison(&comparison, &page).unwrap();
        page
    }
}

fn picture() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/images/7");
    fs::read(fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()).unwrap()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("class {class}, another name of it")).collect()
}

/// Images of `classes` classes, every fifth of which is taken for the next class; `shift` moves which.
fn images(classes: usize, each: usize, shift: usize) -> Vec<Said> {
    let image = |at: usize| {
        let (is, wrong) = (at % classes, (at / classes + at % classes + shift).is_multiple_of(5));
        let class = if wrong { (is + 1) % classes } else { is };
        let probability = 0.5 + 0.4 * ((at * 7 % 100) as f64 / 100.0);
        (format!("folder {}/{at}.png", at % 3).into_bytes(), class, probability, is)
    };
    (0..classes * each).map(image).collect()
}

#[test]
fn a_person_sorts_filters_and_opens_what_is_wrong() {
    let mut browser = browser_or_skip!();
    let fixture = Fixture::new();
    fixture.write("p.csv", &names(10), &images(10, 12, 0), true);
    browser.open(&fixture.evaluate("p.csv"), 1440, "light");

    // Sorting, by the button in the head.
    let column =
        "[...document.querySelectorAll('#class-table tbody tr')].map(r => +r.cells[6].textContent)";
    let sort = "document.querySelectorAll('#class-table thead button')[6].click()";
    browser.evaluate(sort);
    let values = |value: serde_json::Value| -> Vec<f64> { serde_json::from_value(value).unwrap() };
    let down = values(browser.evaluate(column));
    assert!(down.is_sorted_by(|a, b| a >= b) && down[0] > down[9], "{down:?}");
    browser.evaluate(sort);
    assert!(values(browser.evaluate(column)).is_sorted());
    let state = "document.querySelectorAll('#class-table thead th')[6].getAttribute('aria-sort')";
    assert_eq!(browser.evaluate(state), "ascending");

    // Filtering the gallery by kind and words.
    let shown = "[...document.querySelectorAll('[data-gallery] li[data-kind]')].filter(e => e.offsetParent).length";
    let first = browser.evaluate(shown).as_u64().unwrap();
    browser.evaluate(
        "[...document.querySelectorAll('[data-gallery] > p > button')].forEach(e => e.click())",
    );
    let all = browser.evaluate(shown).as_u64().unwrap();
    assert!(first < all, "{first} of {all}");
    browser.evaluate("kind.value = 'worst'; kind.dispatchEvent(new Event('change'))");
    let wrong = browser.evaluate(shown).as_u64().unwrap();
    assert!(0 < wrong && wrong < all, "{wrong} of {all}");
    browser.evaluate("filter.value = 'class 3 folder'; filter.dispatchEvent(new Event('input'))");
    let three = browser.evaluate(shown).as_u64().unwrap();
    assert!(0 < three && three < wrong, "{three} of {wrong}");
    let said = browser.evaluate("found.textContent");
    assert_eq!(said, format!("{three} of {all} shown"));

    // A cell of the confusion matrix, with the keyboard.
    browser.evaluate("document.getElementById('clear').click()");
    browser.evaluate("document.querySelector('.cell[data-t=\"3\"][data-p=\"4\"]').focus()");
    browser.press("Enter");
    let title = browser.evaluate("document.getElementById('files-title').textContent");
    assert_eq!(title, "Wrong images: class 3 taken for class 4");
    let rows = "[...document.querySelectorAll('#files tbody tr')].map(r => r.cells[1].textContent + '>' + r.cells[2].textContent)";
    let rows: Vec<String> = serde_json::from_value(browser.evaluate(rows)).unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row == "class 3>class 4"), "{rows:?}");

    // A class, and back.
    browser.evaluate("document.querySelector('#class-table tr[data-class=\"4\"] button').click()");
    assert_eq!(browser.evaluate("dialog.open && dialog.textContent.includes('class 3: ')"), true);
    assert_eq!(browser.evaluate("dialog.querySelectorAll('svg polyline').length"), 1);
    browser.press("Escape");

    // A correction, as a table for `--corrections`.
    assert_eq!(browser.evaluate("document.getElementById('save-corrections').disabled"), true);
    let choose = |at: usize| {
        format!(
            "(() => {{ const box = document.querySelector('select[data-correct]'); box.selectedIndex = {at}; \
             box.dispatchEvent(new Event('change')); return box.dataset.correct + ',' + box.value }})()"
        )
    };
    let chosen = browser.evaluate(&choose(1));
    let expected = format!("path,index\n{}\n", chosen.as_str().unwrap());
    assert_eq!(browser.evaluate("corrections.value"), expected);
    browser.evaluate("document.getElementById('save-corrections').click()");
    // What is saved has the effect that it says.
    fixture.write_text("fixed.csv", &expected);
    let fixed = fixture.evaluate_with("p.csv", Some("fixed.csv"));
    let report = fs::read_to_string(fixed.with_extension("json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let [path, class] = chosen.as_str().unwrap().rsplit_once(',').unwrap().into();
    let correction =
        serde_json::json!([{ "path": path, "classes": [class.parse::<u32>().unwrap()] }]);
    assert_eq!(report["truth"]["corrections"], correction);
    assert_eq!(browser.complaints(), [""; 0]);
    // The next report goes on from there.
    browser.open(&fixed, 1440, "light");
    assert_eq!(browser.evaluate("corrections.value"), expected);
    browser.evaluate(&choose(1));
    let both = browser.evaluate("corrections.value");
    assert!(both.as_str().unwrap().starts_with(&expected), "{both}");
    assert_eq!(both.as_str().unwrap().lines().count(), 3, "{both}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_block_of_a_thousand_classes_opens() {
    let mut browser = browser_or_skip!();
    let fixture = Fixture::new();
    fixture.write("p.csv", &names(1000), &images(1000, 3, 0), false);
    browser.open(&fixture.evaluate("p.csv"), 1440, "light");
    let before = browser.evaluate("document.getElementById('detail').innerHTML.length");
    browser.evaluate("document.querySelector('.block').focus()");
    browser.press("Enter");
    assert_ne!(browser.evaluate("document.getElementById('detail').innerHTML.length"), before);
    let text = browser.evaluate("document.getElementById('detail-text').textContent");
    assert!(text.as_str().unwrap().starts_with("Classes "), "{text}");
    browser.evaluate("document.querySelector('#detail .cell .miss').closest('.cell').focus()");
    browser.press("Enter");
    let rows = browser.evaluate("document.querySelectorAll('#files tbody tr').length");
    assert!((1..=3).contains(&rows.as_u64().unwrap()), "{rows}");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// What axe-core finds, or the part of it that needs no axe-core: names of controls and pictures.
fn faults(browser: &mut Browser) -> Vec<String> {
    let own = "[...document.querySelectorAll('button,input,select,textarea,a,img,[role]')].filter(e => \
               !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.hasAttribute('alt') \
               || e.hasAttribute('aria-labelledby') || e.id === 'found')).map(e => e.outerHTML.slice(0, 200))";
    let mut found: Vec<String> = serde_json::from_value(browser.evaluate(own)).unwrap();
    let Some(axe) = env::var_os("AXE_CORE") else { return found };
    browser.evaluate(&fs::read_to_string(axe).unwrap());
    let run = "axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations.map(v => \
               v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary).join(' | ')))";
    found.extend::<Vec<String>>(serde_json::from_value(browser.evaluate(run)).unwrap());
    found
}

#[test]
fn pages_fit_and_are_quiet_and_labelled_at_any_width_and_in_the_dark() {
    let mut browser = browser_or_skip!();
    if env::var_os("AXE_CORE").is_none() {
        told!("skipped: AXE_CORE names no axe.min.js; names of controls are checked without it");
    }
    let fixture = Fixture::new();
    fixture.write("a.csv", &names(10), &images(10, 12, 0), true);
    fixture.write("b.csv", &names(10), &images(10, 12, 1), true);
    for page in [fixture.evaluate("b.csv"), fixture.compare("a.csv", "b.csv")] {
        for (width, scheme) in [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")] {
            browser.open(&page, width, scheme);
            let place = format!("{} at {width}, {scheme}", page.display());
            let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(wide <= u64::from(width), "{place} is {wide} wide");
            assert_eq!(faults(&mut browser), [""; 0], "{place}");
            assert_eq!(browser.complaints(), [""; 0], "{place}");
        }
    }
}

#[test]
fn a_page_reads_without_its_script() {
    let mut browser = browser_or_skip!();
    let fixture = Fixture::new();
    fixture.write("p.csv", &names(10), &images(10, 12, 0), true);
    let page = fixture.evaluate("p.csv");
    browser.call("Emulation.setScriptExecutionDisabled", &serde_json::json!({ "value": true }));
    browser.open(&page, 360, "light");
    let seen = |browser: &mut Browser, selector: &str| {
        let visible = format!(
            "[...document.querySelectorAll('{selector}')].filter(e => e.checkVisibility()).length"
        );
        browser.evaluate(&visible).as_u64().unwrap()
    };
    // Nothing is offered that would not work, and nothing is left out.
    assert_eq!(seen(&mut browser, ".script, button, select, dialog"), 0);
    assert_eq!(seen(&mut browser, "#class-table tbody tr"), 10);
    let all = browser.evaluate("document.querySelectorAll('li[data-kind]').length");
    assert_eq!(all, seen(&mut browser, "li[data-kind]"));
    assert!(all.as_u64().unwrap() > 48 && seen(&mut browser, "svg.chart") == 3, "{all}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn hostile_names_are_text() {
    let mut browser = browser_or_skip!();
    let fixture = Fixture::new();
    let hostile: [&[u8]; 9] = [
        b"\"><script>alert(1)</script>.png",
        b"<img src=x onerror=alert(1)>/x.png",
        b"javascript:alert(1).png",
        b"=HYPERLINK(\"http:a\").png",
        b"line\nbreak\ttab.png",
        "right\u{202e}gnp.exe.png".as_bytes(),
        b"not utf-8 \xFF\xFE.png",
        b"{{ 7 * 7 }}{% raw %}.png",
        b"</script><script>alert(2)</script>.png",
    ];
    let labels: Vec<String> = [
        "<script>alert(3)</script>",
        "\"><img src=x onerror=alert(4)>",
        "=1+1",
        "</style></script><svg onload=alert(5)>",
        "\u{202e}turned",
    ]
    .map(str::to_owned)
    .to_vec();
    let said = |shift: usize| -> Vec<Said> {
        let image = |(at, name): (usize, &&[u8])| (name.to_vec(), (at + shift) % 5, 0.9, at % 5);
        hostile.iter().enumerate().map(image).collect()
    };
    fixture.write("a.csv", &labels, &said(0), true);
    fixture.write("b.csv", &labels, &said(1), true);
    for page in [fixture.evaluate("b.csv"), fixture.compare("a.csv", "b.csv")] {
        browser.open(&page, 1440, "light");
        let text = browser.evaluate("document.body.innerText");
        let text = text.as_str().unwrap();
        assert!(!text.contains('\u{202e}'), "{}", page.display());
        for shown in [
            "\"><script>alert(1)</script>.png",
            "<img src=x onerror=alert(1)>/x.png",
            "line\\nbreak\\ttab.png",
            "right\\u{202e}gnp.exe.png",
            "not utf-8 \u{FFFD}\u{FFFD}.png",
            "{{ 7 * 7 }}{% raw %}.png",
            "</style></script><svg onload=alert(5)>",
        ] {
            assert!(text.contains(shown), "{shown} is not shown in {}", page.display());
        }
        assert_eq!(browser.evaluate("document.querySelectorAll('script').length"), 2);
        assert_eq!(browser.evaluate("document.querySelectorAll('[onerror],[onload]').length"), 0);
        // Every link is one to a file that is there.
        let links = "[...document.querySelectorAll('a[href]:not([href^=\"#\"])')].map(a => [a.protocol, a.getAttribute('href').slice(0, 2)])";
        let links: Vec<[String; 2]> = serde_json::from_value(browser.evaluate(links)).unwrap();
        assert!(links.len() >= 9, "{}", links.len());
        assert!(links.iter().all(|link| link[0] == "file:" && link[1] == "./"), "{links:?}");
        // The same again in what the script draws.
        browser.evaluate(
            "[...document.querySelectorAll('.cell, button')].filter(e => e.type !== 'search').forEach(e => { \
             e.dispatchEvent(new MouseEvent('click', { bubbles: true })); document.getElementById('dialog').close() })",
        );
        assert_eq!(browser.evaluate("document.querySelectorAll('script').length"), 2);
        assert_eq!(browser.evaluate("document.querySelectorAll('[onerror],[onload]').length"), 0);
        assert_eq!(browser.complaints(), [""; 0]);
    }
    let table = fs::read_to_string(fixture.path("report.per_class.csv")).unwrap();
    assert!(table.contains(",'=1+1,"), "{table}");
}

//! The commands about models rather than folders of images.

use std::{
    io::{self, Write as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use linnaeus::{
    classifier::{self, Classifier},
    config::{self, Config, ModelConfig},
    doctor::{self, Truth},
    error::{Exit, RunError},
    inspect::{self, KerasReport},
    job::Job,
    pack::{self, Packed, Wishes, keras::Demands},
    predict,
    progress::printable,
    recipe::preset,
    tensor::{Difference, Tensor},
};

use super::print;

/// Prints a report as text or JSON.
fn show(
    report: &(impl std::fmt::Display + serde::Serialize),
    json: bool,
) -> Result<Exit, RunError> {
    if !json {
        return print(&printable(&report.to_string()));
    }
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| RunError::Internal(error.to_string()))?;
    print(&(text + "\n"))
}

pub(super) fn inspect(job: &Job, json: bool) -> Result<Exit, RunError> {
    let config = ModelConfig::resolve(job)?;
    if let Some(report) = KerasReport::new(&config.path, &config.recipe)? {
        show(&report, json)?;
        return Ok(if report.problems.is_empty() { Exit::Complete } else { Exit::Model });
    }
    let report = inspect::inspect(&config)?;
    show(&report, json)?;
    Ok(if report.complete { Exit::Complete } else { Exit::Model })
}

pub(super) fn doctor(
    job: &Job,
    (images, truth, most): (Vec<PathBuf>, Truth, Option<NonZeroUsize>),
    json: bool,
) -> Result<Exit, RunError> {
    let (limits, max_file_bytes) = config::usual_limits();
    let options = doctor::Options {
        images,
        truth,
        most: most.map_or(doctor::USUAL_IMAGES, usize::from),
        limits,
        max_file_bytes,
    };
    let report = doctor::examine(&ModelConfig::resolve(job)?, &options)?;
    show(&report, json)?;
    Ok(if report.contradicts_what_is_said() { Exit::Model } else { Exit::Complete })
}

pub(super) fn pack(
    job: &Job,
    output: &Path,
    golden: &[String],
    temperature_from: Option<PathBuf>,
) -> Result<Exit, RunError> {
    let expected: Result<Vec<_>, _> = golden.iter().map(|text| text.parse()).collect();
    let wishes = Wishes { golden: expected.map_err(RunError::Usage)?, temperature_from };
    let Packed { package, notes } = pack::pack(&ModelConfig::resolve(job)?, &wishes, output)?;
    let labels = package.labels.as_ref().map_or(0, linnaeus::labels::Labels::count);
    print(&format!(
        "{}: {} keys of the recipe, {labels} labels, {} golden images\n",
        output.display(),
        package.recipe.keys().len(),
        package.goldens.len()
    ))?;
    print(&notes.iter().flat_map(|note| [note.as_str(), "\n"]).collect::<String>())
}

pub(super) fn freeze(
    job: &Job,
    output: &Path,
    (golden, verify, bare): (&[String], &[String], bool),
    json: bool,
) -> Result<Exit, RunError> {
    let golden: Result<Vec<_>, _> = golden.iter().map(|text| text.parse()).collect();
    let verify: Result<Vec<_>, _> = verify.iter().map(|text| text.parse()).collect();
    let demands = Demands {
        golden: golden.map_err(RunError::Usage)?,
        verify: verify.map_err(RunError::Usage)?,
        bare,
    };
    show(&pack::keras::freeze_to(&ModelConfig::resolve(job)?, &demands, output)?, json)
}

pub(super) fn tensor(image: &Path, job: &Job, output: &Path) -> Result<Exit, RunError> {
    let (recipe, input) = classifier::recipe(&ModelConfig::resolve(job)?)?;
    let tensor = Tensor::of_image(image, &recipe, &input, config::usual_limits())
        .map_err(|error| RunError::Usage(format!("cannot prepare {}: {error}", image.display())))?;
    tensor.write_npy(output)?;
    Ok(Exit::Complete)
}

/// One image as a table; what was found out about the recipe goes before it.
pub(super) fn table(config: &Config, image: &Path, classes: usize) -> Result<Exit, RunError> {
    let mut classifier = Classifier::open(&config.model)?;
    for note in classifier.notes.iter().filter(|_| !config.quiet) {
        let _ = writeln!(io::stderr(), "{}", printable(note));
    }
    let limits = (config.limits, config.max_file_bytes);
    let prediction = predict::predict(&mut classifier, image, classes, limits)?;
    print(&printable(&prediction.to_string()))
}

pub(super) fn tensor_diff(a: &Path, b: &Path, tolerance: f32) -> Result<Exit, RunError> {
    let (left, right) = (Tensor::read_npy(a)?, Tensor::read_npy(b)?);
    let difference = Difference::between(&left, &right).map_err(|reason| {
        RunError::Usage(format!("cannot compare {} and {}: {reason}", a.display(), b.display()))
    })?;
    print(&difference.to_string())?;
    Ok(if difference.max <= tolerance { Exit::Complete } else { Exit::SomeFailed })
}

pub(super) fn presets(name: Option<&str>) -> Result<Exit, RunError> {
    let Some(name) = name else {
        let presets = preset::all();
        let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
        let line = |p: &preset::Preset| format!("{:<width$}  {}\n", p.name, p.about);
        return print(&presets.iter().map(line).collect::<String>());
    };
    let recipe = preset::named(name).map_err(RunError::Usage)?.recipe;
    print(&Job { recipe, ..Job::default() }.to_toml()?)
}

//! Every job file and every command of the README does what it says.

#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::fs;

use linnaeus::{
    config::Config,
    job::{EvaluateSpec, Job},
    recipe::RecipeSpec,
};

mod program;

use program::{TestDir, listing, repository, rows};

#[test]
fn every_job_file_is_one() {
    let jobs = listing(&repository("jobs"));
    assert!(jobs.contains(&"digits.toml".to_owned()) && jobs.contains(&"nightly.toml".to_owned()));
    for name in jobs {
        let job = Job::load(&repository("jobs").join(&name)).unwrap();
        Config::resolve(job).unwrap_or_else(|error| panic!("{name}: {error}"));
        TestDir::new()
            .program(["run", &format!("jobs/{name}"), "--dry-run"])
            .within(&repository(""))
            .exits(0);
    }
}

#[test]
fn the_nightly_job_shows_every_key() {
    let text = fs::read_to_string(repository("jobs/nightly.toml")).unwrap();
    let keys = Job::KEYS.iter().chain(&RecipeSpec::KEYS).chain(&EvaluateSpec::KEYS);
    for key in keys.filter(|key| !["recipe", "evaluate"].contains(*key)) {
        let shown =
            |line: &str| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} ="));
        assert!(text.lines().any(shown), "jobs/nightly.toml does not show `{key}`");
    }
}

#[test]
fn the_digits_job_is_right_on_97_percent() {
    let folder = TestDir::new();
    let output = folder.path("digits.csv").into_os_string();
    let args = ["run".into(), "jobs/digits.toml".into(), "-o".into(), output];
    folder.program(args).within(&repository("")).exits(0);
    let rows = rows(&folder.read("digits.csv"));
    assert_eq!(rows.len(), 360);
    let right = rows.iter().filter(|row| row["path"].split('/').next() == Some(&row["label"]));
    let accuracy = right.count() as f64 / 360.0;
    assert!(accuracy >= 0.97, "{accuracy}");
}

/// The `sh` blocks of the README, a command a line.
fn readme_commands() -> Vec<String> {
    let text = fs::read_to_string(repository("README.md")).unwrap();
    let mut commands = Vec::new();
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap().replace("\\\n", " ");
        commands.extend(block.lines().map(str::to_owned));
    }
    commands
}

/// The words of a command up to a comment, pipe or redirection, as a shell splits them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#' | '|' | '>' | ';' | '&') if word.is_none() => break,
            (Some(_) | None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn shell_words_are_split_as_a_shell_does() {
    let expected = ["a", "--b", "c d", "", "e'f"];
    assert_eq!(words("a  --b 'c d' '' \"e'f\" # g"), expected);
    assert_eq!(words("a b > c"), ["a", "b"]);
}

#[test]
fn the_program_understands_every_command_of_the_readme() {
    let mut tried = 0;
    for line in readme_commands() {
        let words = words(&line);
        let args = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["linnaeus", ref args @ ..] => args.to_vec(),
            ["cargo", "run", ref options @ ..] => {
                let at = options.iter().position(|option| *option == "--").unwrap();
                options[at + 1..].to_vec()
            }
            _ => continue,
        };
        tried += 1;
        let folder = TestDir::new();
        folder.write("photos/none.txt", "");
        if let ["run", job, ..] = args[..] {
            // A job that the repository has, or one of the reader's own.
            folder.write(job, fs::read(repository(job)).unwrap_or_default());
        }
        // Neither of these runs anything: the one prints the job, the other the help.
        let instead = if ["run", "classify"].contains(&args[0]) { "--print-job" } else { "--help" };
        let args = args.into_iter().filter(|arg| *arg != "--dry-run").chain([instead]);
        folder.program(args).exits(0);
    }
    assert!(tried >= 5, "only {tried} commands in README.md");
}

#[test]
fn the_readme_knows_every_status_of_an_image() {
    let text = fs::read_to_string(repository("README.md")).unwrap();
    for code in linnaeus::error::ItemError::CODES {
        assert!(text.contains(&format!("`{code}`")), "README.md does not explain `{code}`");
    }
}

//! Classifies whole folders of images with an ONNX model: every image becomes one row.
//!
//! The modules below are in the order in which a run uses them: first what everything is said in,
//! then what was asked for, then the way of one image from its folder to its row, and last the
//! run as a whole. A module uses only those above it.
//!
//! ```no_run
//! use linnaeus::{config::Config, interrupt::Stop, job::Job, run::Run, telling::Log};
//!
//! # fn main() -> Result<(), linnaeus::error::RunError> {
//! let job = Job::load("jobs/digits.toml".as_ref())?;
//! let summary = Run::prepare(Config::resolve(job)?)?.execute(&Stop::default(), &Log::silent())?;
//! print!("{summary}");
//! # Ok(())
//! # }
//! ```

/// Sizes and rectangles, height before width.
pub mod geometry;

/// What can go wrong with an image, and with a run; exit statuses.
pub mod error;

/// How long one image may take.
pub mod deadline;

/// SHA-256 of what a run reads and writes.
pub mod digest;

/// This very start of the program.
pub mod invocation;

/// What happens to an image between its file and the model.
pub mod recipe;

/// The device asked for.
pub mod device;

/// The job file and the flags, as written.
pub mod job;

/// How much memory there is, and keeping to it.
pub mod memory;

/// Bytes that threads and processes share.
pub mod budget;

/// Which files are images.
pub mod format;

/// One file, and how it is opened and read.
pub mod source;

/// Folders to sources, in a stable order.
pub mod walk;

/// File bytes to pixels.
pub mod decode;

/// A job, decided.
pub mod config;

/// Resampling, bit for bit as the libraries that models were trained with.
pub mod resample;

/// Pixels to one image of the model's input tensor.
pub mod preprocess;

/// What each stage costs.
pub mod timing;

/// One image, from its file to its place in a batch.
pub mod prepare;

/// The same in a process of its own, which may crash and hang.
pub mod isolate;

/// Names of the classes.
pub mod labels;

/// What a packed model carries with it.
pub mod package;

/// Scores to the most probable classes.
pub mod rank;

/// What a figure from a sample is worth.
pub mod statistics;

/// An ONNX file, read as a file.
pub mod onnx;

/// Rows to a file that appears whole or not at all.
pub mod output;

/// Saved predictions, read back.
pub mod predictions;

/// What images really show, as a person says it.
pub mod truth;

/// What predictions are worth.
pub mod metrics;

/// Small pictures of images.
pub mod thumbnail;

/// A run that is over.
pub mod saved_run;

/// Conditions that a report has to meet.
pub mod gate;

/// What a run is worth.
pub mod evaluate;

/// Whether another run is better.
pub mod compare;

/// Reports as pages and tables.
pub mod report;

/// What a run classifies, frozen before the first image is read.
pub mod list;

/// One image's tensor as a file, and its difference from another.
pub mod tensor;

/// Where the user keeps data, and who else could have written there.
pub mod folders;

/// ONNX Runtime: where it comes from, and loading it.
pub mod runtime;

/// Keras models, read without Python.
pub mod keras;

/// TensorFlow graphs, read without TensorFlow.
pub mod graphdef;

/// Keras models and TensorFlow graphs to ONNX models.
pub mod freeze;

/// A model file, opened.
pub mod model;

/// How a model's images are prepared, found out from what lies there.
pub mod detect;

/// What a model file says about itself.
pub mod inspect;

/// Tensors to scores.
pub mod engine;

/// A model, and everything that it takes to use it right.
pub mod classifier;

/// One image's best classes, for a person.
pub mod predict;

/// A model that carries its recipe with it.
pub mod pack;

/// Which recipe a model was trained with, found out by trying.
pub mod doctor;

/// The record of a run.
pub mod manifest;

/// How an unfinished run is gone on with.
pub mod journal;

/// What a person sees meanwhile.
pub mod progress;

/// Who hears of a run.
pub mod telling;

/// Ctrl-C and its relatives.
pub mod interrupt;

/// Sources to scored batches, in order, on many threads.
pub mod pipeline;

/// A whole run.
pub mod run;

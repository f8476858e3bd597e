//! Freezes a Keras model: `cargo run --example freeze_model -- model.keras model.onnx`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{env, error::Error, fs, path::Path};

use linnaeus::{freeze, keras::KerasFile};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (model, target) =
        arguments.next().zip(arguments.next()).ok_or("give a model and a target")?;
    let file = KerasFile::open(Path::new(&model))?;
    let frozen = freeze::freeze(&file, freeze::Options::default())?;
    fs::write(target, frozen.model.to_bytes())?;
    println!("{:?}", frozen.summary);
    Ok(())
}

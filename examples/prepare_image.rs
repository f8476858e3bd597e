//! Only the preparation: one image to the tensor that a model would get, without any model.
//!
//!     cargo run --example prepare_image

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use linnaeus::{
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    preprocess::{Preprocessor, Scratch},
    recipe::{Alpha, Deep, Element, InputSpec, Orientation, Recipe, RecipeSpec},
    source,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = "examples/digits/images/3/0045.png".as_ref();
    let decoder = Decoder {
        limits: Limits { max_pixels: 1 << 26, max_bytes: 1 << 28 },
        policy: Policy { exif: Orientation::Ignore, alpha: Alpha::Drop, deep: Deep::HighByte },
        budget: Budget::new(1 << 28),
    };
    let (mut bytes, mut pixels) = (Vec::new(), Pixels::default());
    source::read_whole(path, false, 1 << 20, &mut bytes)?;
    decoder.decode(&bytes, path, &mut pixels)?;

    let spec: RecipeSpec = toml::from_str(
        "size = '16'
         resize = 'squash'
         interpolation = 'bicubic'
         scale = '1/127.5-1'",
    )?;
    let input = InputSpec {
        name: "image".to_owned(),
        element: Element::F32,
        batch: None,
        dims: [Some(1), None, None],
        planar: false,
    };
    let preprocessor = Preprocessor::<f32>::new(Recipe::resolve(&spec, &input)?);
    let mut tensor = vec![0.0; preprocessor.image_len()];
    preprocessor.write(&pixels, &mut Scratch::default(), &mut tensor)?;

    for row in tensor.chunks(16) {
        let shade = |&value: &f32| if value > 0.0 { '#' } else { '.' };
        println!("{}", row.iter().map(shade).collect::<String>());
    }
    Ok(())
}

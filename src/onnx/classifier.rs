//! Whether a graph is an image classifier, by its inputs and outputs.

use serde::Serialize;

use super::{Dim, ElementType, OnnxFile, Value, shown};

/// Whether a graph is an image classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// An image goes in, and one number for each class comes out.
    Classifier,
    /// The file says too little about its inputs or outputs.
    Unsure,
    /// Something else.
    Other,
}

/// Whether a graph is an image classifier, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Classifier {
    /// Whether it is.
    pub verdict: Verdict,
    /// The outputs that can be scores of classes.
    pub outputs: Vec<String>,
    /// What was seen, one sentence each.
    pub reasons: Vec<String>,
}

/// What one input or output looks like.
enum Looks {
    Right(String),
    Unsure(String),
    Wrong(String),
}

impl OnnxFile {
    /// Judges by inputs and outputs whether this is an image classifier. Embeddings look the same.
    #[must_use]
    pub fn classifier(&self) -> Classifier {
        let inputs = judge_inputs(&self.inputs());
        let outputs = self.outputs();
        let judged: Vec<_> = outputs.iter().map(judge_output).collect();
        let mut right: Vec<_> = outputs
            .iter()
            .zip(&judged)
            .filter(|(_, looks)| matches!(looks, Looks::Right(_)))
            .map(|(output, _)| output.name.clone())
            .collect();
        let mut reasons = Vec::new();
        let mut unsure = false;
        let mut wrong = false;
        if outputs.len() > 1
            && let Some(boxes) = outputs.iter().find(|output| is_boxes(output))
        {
            wrong = true;
            right.clear();
            reasons
                .push(format!("{} is one of several outputs, as a detector's boxes", text(boxes)));
        }
        unsure |= judged.iter().any(|looks| matches!(looks, Looks::Unsure(_)));
        wrong |= right.is_empty() && !unsure || matches!(inputs, Looks::Wrong(_));
        unsure = right.is_empty() || matches!(inputs, Looks::Unsure(_));
        for looks in std::iter::once(inputs).chain(judged) {
            let (Looks::Right(reason) | Looks::Unsure(reason) | Looks::Wrong(reason)) = looks;
            reasons.push(reason);
        }
        let verdict = match (wrong, unsure) {
            (true, _) => Verdict::Other,
            (false, true) => Verdict::Unsure,
            (false, false) => Verdict::Classifier,
        };
        Classifier { verdict, outputs: right, reasons }
    }
}

fn text(value: &Value) -> String {
    format!("`{}` {}", shown(&value.name), value.r#type)
}

fn judge_inputs(inputs: &[Value]) -> Looks {
    let [input] = inputs else {
        let names: Vec<_> = inputs.iter().take(8).map(text).collect();
        let list = names.join(", ");
        return Looks::Wrong(format!("{} inputs, and an image is one: {list}", inputs.len()));
    };
    let input_text = format!("input {}", text(input));
    match (&input.dims, input.element) {
        (_, None | Some(ElementType::STRING)) => {
            Looks::Wrong(format!("{input_text} is no tensor of numbers"))
        }
        (None, _) => Looks::Unsure(format!("{input_text} does not say how many dimensions it has")),
        (Some(dims), element) => match dims.len() {
            4 => Looks::Right(format!("{input_text} can be an image")),
            3 => Looks::Unsure(format!("{input_text} can be a gray image, or something else")),
            1 if element == Some(ElementType::U8) => {
                Looks::Unsure(format!("{input_text} can be an encoded image file"))
            }
            _ => Looks::Wrong(format!("{input_text} is no image, which has four dimensions")),
        },
    }
}

fn judge_output(output: &Value) -> Looks {
    let output_text = format!("output {}", text(output));
    let (Some(element), Some(dims)) = (output.element, &output.dims) else {
        return Looks::Unsure(format!("{output_text} does not show what it holds"));
    };
    let quantised = element == ElementType::U8;
    if !element.is_float() && !quantised {
        return Looks::Wrong(format!("{output_text} holds no scores but whole numbers or text"));
    }
    let long: Vec<_> = dims.iter().skip(1).filter(|dim| **dim != Dim::Fixed(1)).collect();
    match (dims.len(), &long[..]) {
        (0, _) => Looks::Wrong(format!("{output_text} is a single number")),
        (2.., []) => Looks::Right(format!(
            "{output_text} is one score: of a class against all else, or a measure of something"
        )),
        (1, _) | (_, [_]) => Looks::Right(format!("{output_text} can be a score for each class")),
        (3, _) => Looks::Wrong(format!("{output_text} is three-dimensional, as a detector's")),
        (4, _) => Looks::Wrong(format!(
            "{output_text} is four-dimensional, as feature maps or a segmentation are"
        )),
        (rank, _) => Looks::Wrong(format!("{output_text} has {rank} dimensions")),
    }
}

fn is_boxes(output: &Value) -> bool {
    let dims = output.dims.as_deref().unwrap_or_default();
    let last = dims.last().and_then(Dim::fixed);
    let named = output.name.to_ascii_lowercase().contains("box") && last == Some(4);
    named || dims.len() == 3 && matches!(last, Some(4..=6))
}

//! Tables for other programs.

use crate::{
    evaluate::{Evaluation, Report},
    output,
};

/// One line for each class.
pub(super) fn per_class(report: &Report) -> Vec<u8> {
    let header = "index,name,images,predicted,hits,precision,precision_low,precision_high,recall,\
                  recall_low,recall_high,f1,f1_low,f1_high,average_precision";
    let mut out = header.as_bytes().to_vec();
    out.push(b'\n');
    for class in &report.classes {
        let figures = &class.figures;
        let mut cells = vec![figures.class.to_string(), class.name.clone()];
        cells.extend([figures.support, figures.predicted, figures.hits].map(|n| n.to_string()));
        for (value, [low, high]) in [
            (figures.precision, figures.precision_interval),
            (figures.recall, figures.recall_interval),
            (figures.f1, figures.f1_interval),
        ] {
            cells.extend([value, low, high].map(|value| format!("{value:.6}")));
        }
        cells.push(class.average_precision.map_or_else(String::new, |ap| format!("{ap:.6}")));
        output::write_cells(&cells, &mut out);
    }
    out
}

/// One line for each row, image of the truth and name in it that has no counterpart.
pub(super) fn unmatched(evaluation: &Evaluation) -> Vec<u8> {
    let mut out = b"what,path_or_name\n".to_vec();
    for (what, text) in &evaluation.unmatched {
        let text = if *what == "unknown" { text.clone() } else { output::guarded_path(text) };
        output::write_cells(&[(*what).to_owned(), text], &mut out);
    }
    out
}

/// One line for each pair of classes that occurs.
pub(super) fn confusion(evaluation: &Evaluation) -> Vec<u8> {
    let mut out = b"truth,truth_name,predicted,predicted_name,images\n".to_vec();
    let names = &evaluation.names;
    for ((truth, predicted), count) in &evaluation.confusion.cells {
        let cells = [
            truth.to_string(),
            names[truth].clone(),
            predicted.to_string(),
            names[predicted].clone(),
            count.to_string(),
        ];
        output::write_cells(&cells, &mut out);
    }
    out
}

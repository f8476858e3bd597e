//! Label files.

use linnaeus::labels::Labels;

/// The content of a label file.
pub fn labels(bytes: &[u8]) {
    let Ok(labels) = Labels::parse(&String::from_utf8_lossy(bytes)) else { return };
    assert!(labels.count() > 0);
    for index in [0, labels.count() - 1, labels.count(), usize::MAX] {
        assert_eq!(labels.name(index).is_some(), index < labels.count());
        _ = labels.wnid(index);
    }
    for offset in [0, 1, -1, i64::MAX, i64::MIN] {
        _ = labels.clone().shifted(offset);
    }
    _ = labels.fit(1001, "here");
}

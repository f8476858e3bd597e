//! Tensors as files.

use std::fs;

use linnaeus::tensor::{Difference, Tensor};

/// A `.npy` file.
pub fn npy(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    fs::write(&path, bytes).unwrap();
    let Ok(tensor) = Tensor::read_npy(&path) else { return };
    assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>());
    Difference::between(&tensor, &tensor).unwrap();
    tensor.write_npy(&path).unwrap();
    let again = Tensor::read_npy(&path).unwrap();
    assert_eq!(again.shape, tensor.shape);
}

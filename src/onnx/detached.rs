//! Writing a model without holding its weights twice, and with its weights in a file beside it.

use std::io::{self, Write};

use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};

use super::{
    OnnxError,
    proto::{EXTERNAL, GraphProto, ModelProto, StringStringEntryProto, TensorProto},
};

/// Elements begin at multiples of this many bytes in a file of weights, so that a runtime can map
/// them as they lie.
const PAGE: u64 = 4096;

/// Weights of fewer bytes stay in the model: they are what its layers are understood by.
const LEAST_BYTES: usize = 256;

/// Numbers of the fields that are written piece by piece.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
const RAW_DATA: u32 = 9;

impl ModelProto {
    /// Bytes of its weights.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        let weights = self.graph.iter().flat_map(|graph| &graph.initializer);
        weights.map(|tensor| tensor.raw_data.len() as u64).sum()
    }

    /// Writes its file: what [`ModelProto::to_bytes`] holds in memory, in another order of fields.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let Some(graph) = &self.graph else { return to.write_all(&self.encode_to_vec()) };
        let around = Self { graph: None, ..self.clone() };
        let inner = GraphProto { initializer: Vec::new(), ..graph.clone() }.encode_to_vec();
        let weights = graph.initializer.iter().map(|tensor| {
            let length = tensor.encoded_len() as u64;
            prefix(INITIALIZER, length).len() as u64 + length
        });
        to.write_all(&around.encode_to_vec())?;
        to.write_all(&prefix(GRAPH, inner.len() as u64 + weights.sum::<u64>()))?;
        to.write_all(&inner)?;
        for tensor in &graph.initializer {
            to.write_all(&prefix(INITIALIZER, tensor.encoded_len() as u64))?;
            let described = TensorProto { raw_data: Vec::new().into(), ..tensor.clone() };
            to.write_all(&described.encode_to_vec())?;
            if !tensor.raw_data.is_empty() {
                to.write_all(&prefix(RAW_DATA, tensor.raw_data.len() as u64))?;
                to.write_all(&tensor.raw_data)?;
            }
        }
        Ok(())
    }

    /// The same model with its weights in the file `location` of its folder. That file is what
    /// [`ModelProto::write_weights`] writes.
    #[must_use]
    pub fn detached(&self, location: &str) -> Self {
        let mut model = self.clone();
        let mut end = 0;
        for tensor in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
            let Some(offset) = offset(tensor, end) else { continue };
            let length = tensor.raw_data.len() as u64;
            end = offset + length;
            let entry = |(key, value): (&str, String)| StringStringEntryProto {
                key: key.to_owned(),
                value,
            };
            tensor.external_data = [
                ("location", location.to_owned()),
                ("offset", offset.to_string()),
                ("length", length.to_string()),
            ]
            .map(entry)
            .to_vec();
            tensor.data_location = EXTERNAL;
            tensor.raw_data = Vec::new().into();
        }
        model
    }

    /// Writes the weights that [`ModelProto::detached`] takes out of this model, each at a multiple
    /// of 4096 bytes.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub fn write_weights(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut end = 0;
        for tensor in self.graph.iter().flat_map(|graph| &graph.initializer) {
            let Some(offset) = offset(tensor, end) else { continue };
            io::copy(&mut io::Read::take(io::repeat(0), offset - end), to)?;
            to.write_all(&tensor.raw_data)?;
            end = offset + tensor.raw_data.len() as u64;
        }
        Ok(())
    }

    /// Reads a file that [`ModelProto::write`] wrote. What others write may hold more than is kept:
    /// those are for [`super::OnnxFile`].
    ///
    /// # Errors
    ///
    /// It is damaged or no ONNX model.
    pub fn written(bytes: &[u8]) -> Result<Self, OnnxError> {
        Self::decode(bytes).map_err(OnnxError::NotOnnx)
    }

    /// Names the file of the weights anew.
    pub fn relocate(&mut self, location: &str) {
        let weights = self.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        let entries = weights.flat_map(|tensor| &mut tensor.external_data);
        for entry in entries.filter(|entry| entry.key == "location") {
            location.clone_into(&mut entry.value);
        }
    }
}

/// Where the elements of a tensor go in a file of weights that has `end` bytes; `None` when they
/// stay in the model.
fn offset(tensor: &TensorProto, end: u64) -> Option<u64> {
    (tensor.raw_data.len() >= LEAST_BYTES).then(|| end.next_multiple_of(PAGE))
}

/// What stands before a field of `length` bytes.
fn prefix(field: u32, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(field, WireType::LengthDelimited, &mut bytes);
    encode_varint(length, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{NodeProto, StringStringEntryProto};

    fn model() -> ModelProto {
        let tensor = |name: &str, bytes: usize| TensorProto {
            dims: vec![bytes as i64 / 4],
            data_type: 1,
            name: name.to_owned(),
            raw_data: (0..=u8::MAX).cycle().take(bytes).collect::<Vec<u8>>().into(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            node: vec![NodeProto { op_type: "Add".to_owned(), ..NodeProto::default() }],
            initializer: vec![tensor("a", 4000), tensor("small", 8), tensor("b", 5000)],
            ..GraphProto::default()
        };
        let entry = StringStringEntryProto { key: "k".to_owned(), value: "v".to_owned() };
        ModelProto {
            ir_version: 8,
            graph: Some(graph),
            metadata_props: vec![entry],
            ..ModelProto::default()
        }
    }

    #[test]
    fn what_is_written_in_pieces_is_what_prost_writes() {
        let mut written = Vec::new();
        model().write(&mut written).unwrap();
        assert_eq!(written.len(), model().to_bytes().len());
        assert_eq!(ModelProto::decode(&*written).unwrap(), model());
        let mut empty = Vec::new();
        ModelProto::default().write(&mut empty).unwrap();
        assert_eq!(empty, ModelProto::default().to_bytes());
    }

    #[test]
    fn weights_lie_at_the_offsets_that_the_model_names() {
        let (model, mut weights) = (model(), Vec::new());
        model.write_weights(&mut weights).unwrap();
        let mut detached = model.detached("x.data");
        detached.relocate("y.data");
        let mut bytes = Vec::new();
        detached.write(&mut bytes).unwrap();
        let found = crate::onnx::OnnxFile::read(bytes.into()).unwrap().external_data();
        let places: Vec<_> = found.iter().map(|d| (&*d.tensor, d.offset, d.length)).collect();
        assert_eq!(places, [("a", 0, 4000), ("b", 4096, 5000)]);
        assert!(found.iter().all(|data| data.location == "y.data"));
        assert_eq!(weights.len(), 9096);
        let whole = model.graph.unwrap().initializer;
        assert_eq!(&weights[4096..], &whole[2].raw_data[..]);
        assert_eq!(detached.graph.unwrap().initializer[1], whole[1]);
    }
}

//! What is looked at before a file is given to ONNX Runtime: a file may come from anybody, and what
//! it says is cheap to check and dear to try.

use std::{collections::HashMap, path::Path};

use super::{
    ElementType, OnnxFile,
    graph::{all_nodes, domain_name, inner_graphs},
    proto::{FunctionProto, NodeProto, SparseTensorProto, TensorProto},
    shown,
    tensor::{byte_count, element_count, is_external},
};

/// Nodes of a graph whose functions are written out. ONNX Runtime writes them all out; exporters'
/// largest graphs have some ten thousand.
const MOST_NODES: u64 = 1 << 20;

/// The element type of texts, which have no size.
const STRING: i32 = 8;

/// The name of a function, or of the operator that a node applies.
type Name<'a> = (&'a str, &'a str);

impl OnnxFile {
    /// Why the model at `path` should not reach ONNX Runtime on a machine with `memory` bytes:
    /// nothing for a model as exporters write them. Files that it names are looked at and not
    /// opened.
    #[must_use]
    pub fn refusals(&self, path: &Path, memory: u64) -> Vec<String> {
        let mut refusals: Vec<_> =
            self.external_problems(path).iter().map(ToString::to_string).collect();
        refusals.extend(self.tensors().find_map(incomplete));
        let weights = self.tensors().filter_map(byte_count).fold(0, u64::saturating_add);
        if weights > memory {
            refusals.push(format!(
                "its weights take {weights} bytes, and there are {memory} bytes of memory"
            ));
        }
        refusals.extend(self.endless_functions());
        refusals
    }

    /// Every tensor of the file, also of inner graphs.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &TensorProto> {
        let nodes = all_nodes(&self.graph, &self.model.functions);
        let graphs = nodes.iter().flat_map(|node| inner_graphs(node)).chain([&self.graph]);
        let mut tensors = Vec::new();
        for graph in graphs {
            tensors.extend(&graph.initializer);
            tensors.extend(graph.sparse_initializer.iter().flat_map(SparseTensorProto::parts));
        }
        let defaults = self.model.functions.iter().flat_map(|function| &function.attribute_proto);
        for attribute in nodes.iter().flat_map(|node| &node.attribute).chain(defaults) {
            tensors.extend(attribute.t.as_deref());
            tensors.extend(&attribute.tensors);
            let sparse = attribute.sparse_tensor.as_deref().into_iter();
            tensors
                .extend(sparse.chain(&attribute.sparse_tensors).flat_map(SparseTensorProto::parts));
        }
        tensors.into_iter()
    }

    /// Whether functions call themselves, or each other so often that the graph explodes.
    fn endless_functions(&self) -> Option<String> {
        let functions = &self.model.functions;
        let bodies: HashMap<Name<'_>, Calls<'_>> = functions
            .iter()
            .map(|function| (name_of(function), Calls::of(&function.node)))
            .collect();
        let mut callers: HashMap<Name<'_>, Vec<Name<'_>>> = HashMap::new();
        let mut open: HashMap<Name<'_>, usize> = HashMap::new();
        let mut ready: Vec<Name<'_>> = Vec::new();
        for (caller, body) in functions.iter().map(name_of).map(|name| (name, &bodies[&name])) {
            let called = body.counts.keys().filter(|called| bodies.contains_key(*called));
            let called: Vec<_> = called.copied().collect();
            for called in &called {
                callers.entry(*called).or_default().push(caller);
            }
            match called.len() {
                0 => ready.push(caller),
                count => _ = open.insert(caller, count),
            }
        }
        // From those that call no other to those that call them, and so on; never by recursion.
        let mut sizes: HashMap<Name<'_>, u64> = HashMap::new();
        while let Some(name) = ready.pop() {
            sizes.insert(name, bodies[&name].size(&sizes).max(1));
            for caller in callers.remove(&name).unwrap_or_default() {
                let open = open.get_mut(&caller).expect("a caller has something open");
                *open -= 1;
                if *open == 0 {
                    ready.push(caller);
                }
            }
        }
        if let Some((_, name)) = bodies.keys().filter(|name| !sizes.contains_key(*name)).min() {
            return Some(format!("its function `{}` calls itself", shown(name)));
        }
        let all = Calls::of(&self.graph.node).size(&sizes);
        let many = || format!("its functions make more than {MOST_NODES} nodes of its graph");
        (all > MOST_NODES).then(many)
    }
}

/// How often some nodes, and those of the graphs inside them, apply each operator.
struct Calls<'a> {
    counts: HashMap<Name<'a>, u64>,
}

impl<'a> Calls<'a> {
    fn of(nodes: &'a [NodeProto]) -> Self {
        let mut waiting: Vec<&NodeProto> = nodes.iter().collect();
        let mut counts = HashMap::new();
        while let Some(node) = waiting.pop() {
            *counts.entry(operator_of(node)).or_default() += 1;
            waiting.extend(inner_graphs(node).flat_map(|graph| &graph.node));
        }
        Self { counts }
    }

    /// Nodes when those in `sizes` are written out.
    fn size(&self, sizes: &HashMap<Name<'_>, u64>) -> u64 {
        let size = |(name, count): (&Name<'_>, &u64)| {
            sizes.get(name).copied().unwrap_or(1).saturating_mul(*count)
        };
        self.counts.iter().map(size).fold(0, u64::saturating_add)
    }
}

fn name_of(function: &FunctionProto) -> Name<'_> {
    (domain_name(&function.domain), &function.name)
}

fn operator_of(node: &NodeProto) -> Name<'_> {
    (domain_name(&node.domain), &node.op_type)
}

/// What a tensor lacks of the elements that its shape promises; of those in this file.
fn incomplete(tensor: &TensorProto) -> Option<String> {
    let name = shown(&tensor.name);
    let Some(promised) = element_count(tensor) else {
        return Some(format!("the weight `{name}` has the impossible shape {:?}", tensor.dims));
    };
    if is_external(tensor) || tensor.data_type == STRING {
        return None;
    }
    let lacks = |needed, found| {
        let there = format!("and {found} are there: the file is cut, or made up");
        format!("the weight `{name}` takes {needed} bytes by its shape, {there}")
    };
    let bits = ElementType(tensor.data_type).bits()?;
    let Some(needed) = byte_count(tensor) else {
        return Some(format!("the weight `{name}` has the impossible shape {:?}", tensor.dims));
    };
    let numbers = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
    ];
    let numbers = numbers.into_iter().max().unwrap_or(0) as u64;
    // Numbers of less than a byte are packed in ways of their own; each takes one entry at most.
    let found = if tensor.raw_data.is_empty() {
        numbers.saturating_mul(bits.max(8)).div_ceil(8)
    } else {
        tensor.raw_data.len() as u64
    };
    (promised > 0 && found < needed).then(|| lacks(needed, found))
}

//! A graph without functions: calls are replaced by the bodies of what they call, and only what the
//! outputs need is there.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use prost::Message as _;

use super::{
    message::{Attribute, FunctionDef, FunctionHead, NodeDef, fields},
    tensor::{kind, tensor},
};
use crate::keras::{Fault, Tensor, Values};

/// Most nodes of a graph, and of one whose functions are written out.
pub(super) const MAX_NODES: usize = 1 << 18;

/// Most inputs and settings of one node.
const MAX_FIELDS: usize = 1 << 14;

/// Most inputs and settings of all nodes that are looked at.
const MAX_ALL_FIELDS: usize = 1 << 21;

/// Most functions inside each other.
const MAX_DEPTH: usize = 24;

/// One output of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Output {
    /// The node's place in the graph.
    pub(crate) node: usize,
    /// Which of its outputs.
    pub(crate) port: usize,
}

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) op: String,
    pub(crate) inputs: Vec<Output>,
    attributes: HashMap<String, Attribute>,
}

impl Node {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.attributes.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let text = &self.attributes.get(key)?.text;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    pub(crate) fn whole(&self, key: &str) -> Option<i64> {
        Some(self.attributes.get(key)?.whole)
    }

    pub(crate) fn float(&self, key: &str) -> Option<f32> {
        self.attributes.get(key)?.float
    }

    pub(crate) fn truth(&self, key: &str) -> bool {
        self.attributes.get(key).is_some_and(|attribute| attribute.truth)
    }

    /// A type, as a number of `DataType`.
    pub(crate) fn kind(&self, key: &str) -> Option<i32> {
        Some(self.attributes.get(key)?.kind)
    }

    pub(crate) fn list(&self, key: &str) -> Vec<i64> {
        let list = self.attributes.get(key).and_then(|attribute| attribute.list.as_ref());
        list.map(|list| list.whole.clone()).unwrap_or_default()
    }

    /// A shape; `None` when even its rank is open.
    pub(crate) fn shape(&self, key: &str) -> Option<Vec<Option<usize>>> {
        let shape = self.attributes.get(key)?.shape.as_ref()?;
        let dims = shape.dims.iter().map(|dim| usize::try_from(dim.size).ok());
        (!shape.unknown_rank).then(|| dims.collect())
    }

    /// The type and the number of numbers of a constant.
    pub(crate) fn constant_kind(&self) -> i32 {
        let value = self.attributes.get("value").and_then(|value| value.tensor.as_ref());
        value.map_or(0, |tensor| tensor.dtype)
    }

    /// Whether a constant is mostly one number that is stored once.
    pub(crate) fn is_repeated(&self) -> bool {
        let value = self.attributes.get("value").and_then(|value| value.tensor.as_ref());
        value.is_some_and(|tensor| tensor.content.is_empty())
    }

    /// The numbers of a constant.
    ///
    /// # Errors
    ///
    /// When it has none, or others than its shape says.
    pub(crate) fn constant(&self) -> Result<Tensor, Fault> {
        let value = self.attributes.get("value").and_then(|value| value.tensor.as_ref());
        tensor(value.ok_or_else(|| Fault::damaged("a constant has no value"))?)
    }
}

/// A graph, each node behind those that it needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat {
    pub(crate) nodes: Vec<Node>,
    /// The outputs that were asked for, in their order.
    pub(crate) outputs: Vec<Output>,
}

/// The functions of a graph.
#[derive(Debug, Default)]
pub(super) struct Functions(HashMap<String, Bytes>);

impl Functions {
    pub(super) fn of(functions: Vec<Bytes>) -> Result<Self, Fault> {
        let mut all = HashMap::new();
        for bytes in functions {
            let head = FunctionHead::decode(&*bytes).map_err(Fault::container("graph"))?;
            let name = head.signature.map(|signature| signature.name).unwrap_or_default();
            all.insert(name, bytes);
        }
        Ok(Self(all))
    }

    pub(super) fn get(&self, name: &str) -> Result<FunctionDef, Fault> {
        let bytes = self.0.get(name);
        let bytes = bytes.ok_or_else(|| Fault::Damaged(format!("it has no function {name}")))?;
        Fault::within("number of nodes", counted(bytes)? as u64, MAX_NODES as u64)?;
        FunctionDef::decode(bytes.clone()).map_err(Fault::container("graph"))
    }
}

fn counted(bytes: &[u8]) -> Result<usize, Fault> {
    fields(bytes).ok_or_else(|| Fault::damaged("its graph"))
}

/// Reads the nodes of a graph or of a function's body.
pub(super) fn nodes(encoded: &[Bytes]) -> Result<Vec<NodeDef>, Fault> {
    Fault::within("number of nodes", encoded.len() as u64, MAX_NODES as u64)?;
    let mut all = 0;
    let mut nodes = Vec::new();
    for bytes in encoded {
        let count = counted(bytes)?;
        all += count;
        Fault::within("number of a node's inputs", count as u64, MAX_FIELDS as u64)?;
        Fault::within("number of inputs", all as u64, MAX_ALL_FIELDS as u64)?;
        nodes.push(NodeDef::decode(bytes.clone()).map_err(Fault::container("graph"))?);
    }
    Ok(nodes)
}

/// Writes a graph out.
pub(super) struct Flattening<'a> {
    pub(super) functions: &'a Functions,
    pub(super) flat: Flat,
    /// Looked at, those that are not in the graph included.
    looked_at: usize,
}

impl<'a> Flattening<'a> {
    pub(super) fn new(functions: &'a Functions) -> Self {
        Self { functions, flat: Flat::default(), looked_at: 0 }
    }

    /// Adds what the tensors `wanted` need, and returns where they are. `arguments` are known by
    /// their names.
    pub(super) fn add(
        &mut self,
        nodes: Vec<NodeDef>,
        arguments: HashMap<String, Output>,
        wanted: &[String],
        depth: usize,
    ) -> Result<Vec<Output>, Fault> {
        Fault::within("depth of functions", depth as u64, MAX_DEPTH as u64)?;
        self.looked_at += nodes.len();
        Fault::within("number of nodes", self.looked_at as u64, 4 * MAX_NODES as u64)?;
        let places: HashMap<String, usize> =
            nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), at)).collect();
        let mut body = Body { arguments, places, results: HashMap::new() };
        let mut nodes: Vec<Option<NodeDef>> = nodes.into_iter().map(Some).collect();
        let mut waiting: HashSet<usize> = HashSet::new();
        let mut stack = Vec::new();
        for name in wanted {
            stack.extend(body.node_of(name)?);
        }
        while let Some(&at) = stack.last() {
            let Some(node) = &nodes[at] else {
                stack.pop();
                continue;
            };
            let mut needed = Vec::new();
            for input in data_inputs(node) {
                needed.extend(body.node_of(input)?.filter(|&at| nodes[at].is_some()));
            }
            if needed.is_empty() {
                stack.pop();
                let node = nodes[at].take().expect("it was there above");
                let results = self.node(node, &body, depth)?;
                body.results.insert(at, results);
            } else if waiting.insert(at) {
                stack.extend(needed);
            } else {
                return Err(Fault::Unsupported {
                    what: format!("its operations go round in a circle at `{}`", node.name),
                    hint: "loops are for recurrent networks, and linnaeus classifies images"
                        .to_owned(),
                });
            }
        }
        wanted.iter().map(|name| body.find(name)).collect()
    }

    /// The results of one node, in their order.
    fn node(&mut self, node: NodeDef, body: &Body, depth: usize) -> Result<Results, Fault> {
        let inputs: Vec<Output> =
            data_inputs(&node).map(|input| body.find(input)).collect::<Result<_, _>>()?;
        let called = self.called(&node, &inputs)?;
        if let Some((function, skipped)) = called {
            let function = self.functions.get(&function)?;
            let signature = function.signature.unwrap_or_default();
            let names = signature.inputs.into_iter().map(|input| input.name);
            let arguments = names.zip(inputs.into_iter().skip(skipped)).collect();
            let wanted: Option<Vec<String>> = (signature.outputs.iter())
                .map(|output| function.results.get(&output.name).cloned())
                .collect();
            let wanted = wanted.ok_or_else(|| Fault::damaged("a function has no result"))?;
            let inner = self::nodes(&function.nodes)?;
            return self.add(inner, arguments, &wanted, depth + 1).map(Results::Several);
        }
        let at = self.flat.nodes.len();
        Fault::within("number of nodes", at as u64, MAX_NODES as u64)?;
        let NodeDef { name, op, attributes, .. } = node;
        let results = Results::Of(at, op.clone());
        self.flat.nodes.push(Node { name, op, inputs, attributes });
        Ok(results)
    }

    /// The function that a node calls, and how many of its inputs are no arguments.
    fn called(&self, node: &NodeDef, inputs: &[Output]) -> Result<Option<(String, usize)>, Fault> {
        let function = |key: &str| {
            let function = node.attributes.get(key).and_then(|value| value.function.as_ref());
            function.map(|function| function.name.clone())
        };
        Ok(match node.op.as_str() {
            "PartitionedCall" | "StatefulPartitionedCall" => function("f").map(|name| (name, 0)),
            "If" | "StatelessIf" => {
                let Some(truth) = inputs.first().and_then(|input| self.truth(*input)) else {
                    return Err(Fault::Unsupported {
                        what: format!("its operation `{}` decides while it runs", node.name),
                        hint: "save the model for inference (training=False)".to_owned(),
                    });
                };
                function(if truth { "then_branch" } else { "else_branch" }).map(|name| (name, 1))
            }
            op if self.functions.0.contains_key(op) => Some((op.to_owned(), 0)),
            _ => None,
        })
    }

    /// A truth value that is known.
    fn truth(&self, mut output: Output) -> Option<bool> {
        loop {
            let node = &self.flat.nodes[output.node];
            match node.op.as_str() {
                "Identity" | "PlaceholderWithDefault" => output = *node.inputs.first()?,
                "Const" if node.constant_kind() == kind::BOOL => {
                    let Values::I64(values) = node.constant().ok()?.values else { return None };
                    return values.first().map(|&value| value != 0);
                }
                _ => return None,
            }
        }
    }
}

/// Inputs without those that only order the run.
fn data_inputs(node: &NodeDef) -> impl Iterator<Item = &String> {
    node.inputs.iter().filter(|input| !input.starts_with('^'))
}

/// What a node became.
enum Results {
    /// A node of the flat graph, and its operation.
    Of(usize, String),
    /// The results of a function.
    Several(Vec<Output>),
}

/// A graph or the body of a function.
struct Body {
    arguments: HashMap<String, Output>,
    places: HashMap<String, usize>,
    results: HashMap<usize, Results>,
}

impl Body {
    /// The node that a tensor is of; `None` for an argument.
    fn node_of(&self, tensor: &str) -> Result<Option<usize>, Fault> {
        let name = tensor.split(':').next().unwrap_or(tensor);
        if self.arguments.contains_key(name) {
            return Ok(None);
        }
        let place = self.places.get(name).copied();
        let missing = || Fault::Damaged(format!("its graph has no operation `{name}`"));
        place.map(Some).ok_or_else(missing)
    }

    fn find(&self, tensor: &str) -> Result<Output, Fault> {
        let mut parts = tensor.split(':');
        let name = parts.next().unwrap_or(tensor);
        if let Some(argument) = self.arguments.get(name) {
            return Ok(*argument);
        }
        let missing = || Fault::Damaged(format!("its graph has no tensor `{tensor}`"));
        let results = self.node_of(tensor)?.and_then(|at| self.results.get(&at));
        let rest: Vec<&str> = parts.collect();
        let number = |text: &str| text.parse::<usize>().map_err(|_| missing());
        // `name`, `name:1`, and in functions `name:output:1`.
        let (output, index) = match rest[..] {
            [] => ("", 0),
            [one] if one.starts_with(|c: char| c.is_ascii_digit()) => ("", number(one)?),
            [one] => (one, 0),
            [output, index] => (output, number(index)?),
            _ => return Err(missing()),
        };
        match results.ok_or_else(missing)? {
            Results::Several(outputs) => outputs.get(index).copied().ok_or_else(missing),
            Results::Of(node, op) => Ok(Output { node: *node, port: port(op, output, index) }),
        }
    }
}

/// The place of an output of a function's operation. What is no list comes in the order of
/// TensorFlow's definition of the operation, of which only the first is ever used here.
fn port(op: &str, output: &str, index: usize) -> usize {
    let others = ["batch_mean", "batch_variance", "reserve_space_1", "argmax", "indices", "idx"];
    if op == "Switch" && output == "output_true" {
        return 1;
    }
    if others.contains(&output) { index + 1 } else { index }
}

//! The ONNX graph while it is being built: nodes, constants, names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    array::Array,
    value::{Order, Planes, Value},
};

/// A setting of a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

/// An operator; all that are used here have one output.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) operator: &'static str,
    pub(super) inputs: Vec<String>,
    pub(super) output: String,
    pub(super) attributes: Vec<(&'static str, Attribute)>,
}

impl Node {
    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attributes.iter().find_map(|(key, value)| match value {
            Attribute::Ints(values) if *key == name => Some(&values[..]),
            _ => None,
        })
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attributes.iter().find_map(|(key, value)| match value {
            Attribute::Int(value) if *key == name => Some(*value),
            _ => None,
        })
    }

    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.attributes.iter().find_map(|(key, value)| match value {
            Attribute::Float(value) if *key == name => Some(*value),
            _ => None,
        })
    }
}

/// Numbers that the graph carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Floats(Array),
    /// A list of whole numbers: shapes, axes, places.
    Whole(Vec<i64>),
}

/// A graph of nodes, each behind those that it uses.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: BTreeMap<String, Constant>,
    names: BTreeSet<String>,
    /// How often a name was asked for.
    asked: HashMap<String, usize>,
    /// Values that were brought into another order, by name and order.
    moved: HashMap<(String, Order), Value>,
    /// The keys of `moved` since the current layer began.
    moved_here: Vec<(String, Order)>,
    scope: String,
    first_node: usize,
}

impl Graph {
    /// Begins a layer: its nodes and constants are named after it.
    pub(super) fn enter(&mut self, layer: &str) {
        layer.clone_into(&mut self.scope);
        self.first_node = self.nodes.len();
        self.moved_here.clear();
    }

    /// A name that nothing else has.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while !self.names.insert(name.clone()) {
            let count = self.asked.entry(wanted.to_owned()).or_default();
            *count += 1;
            name = format!("{wanted}_{count}");
        }
        name
    }

    /// Adds a node and returns the name of its output.
    pub(super) fn node(
        &mut self,
        operator: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, Attribute)>,
    ) -> String {
        let output = self.unique(&format!("{}/{operator}", self.scope));
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.nodes.push(Node { operator, inputs, output: output.clone(), attributes });
        output
    }

    /// Adds an elementwise node: the result lies as `value` does.
    pub(super) fn elementwise(
        &mut self,
        operator: &'static str,
        value: &Value,
        attributes: Vec<(&'static str, Attribute)>,
    ) -> Value {
        let name = self.node(operator, &[&value.name], attributes);
        value.renamed(name)
    }

    /// Adds numbers under the layer's name and `role`, unless the layer has the same already.
    pub(super) fn floats(&mut self, role: &str, array: Array) -> String {
        self.constant(role, Constant::Floats(array))
    }

    pub(super) fn whole(&mut self, role: &str, values: Vec<i64>) -> String {
        self.constant(role, Constant::Whole(values))
    }

    pub(super) fn scalar(&mut self, role: &str, value: f32) -> String {
        self.floats(role, Array::scalar(value))
    }

    fn constant(&mut self, role: &str, constant: Constant) -> String {
        let wanted = format!("{}/{role}", self.scope);
        if self.constants.get(&wanted) == Some(&constant) {
            return wanted;
        }
        let name = self.unique(&wanted);
        self.constants.insert(name.clone(), constant);
        name
    }

    /// Ends a layer: its result gets the layer's name, when a node of the layer made it.
    pub(super) fn leave(&mut self, result: &mut Value, name: &str) {
        let made = self.nodes[self.first_node..].iter().any(|node| node.output == result.name);
        if !made {
            return;
        }
        let new = self.unique(name);
        let old = std::mem::replace(&mut result.name, new.clone());
        for node in &mut self.nodes[self.first_node..] {
            let names = node.inputs.iter_mut().chain(std::iter::once(&mut node.output));
            names.filter(|name| **name == old).for_each(|name| new.clone_into(name));
        }
        for key in std::mem::take(&mut self.moved_here) {
            let Some(mut value) = self.moved.remove(&key) else { continue };
            let key = if key.0 == old { (new.clone(), key.1) } else { key };
            if value.name == old {
                new.clone_into(&mut value.name);
            }
            self.moved.insert(key.clone(), value);
            self.moved_here.push(key);
        }
        self.names.remove(&old);
    }

    /// The value with its channels first.
    ///
    /// # Errors
    ///
    /// When it has not four axes.
    pub(super) fn channels_first(&mut self, value: &Value) -> Result<Value, String> {
        let [_, height, width, channels] = value.shape[..] else {
            return Err(format!("it gets {} axes, and an image has 4", value.rank()));
        };
        if value.order == Order::ChannelsFirst {
            return Ok(value.clone());
        }
        Ok(self.in_order(value, Order::ChannelsFirst, |graph| {
            if let Some(shape) = plain_move([channels, height, width]) {
                let shape = graph.whole("channels_first", shape);
                return graph.node("Reshape", &[&value.name, &shape], Vec::new());
            }
            let order = vec![("perm", Attribute::Ints(vec![0, 3, 1, 2]))];
            graph.node("Transpose", &[&value.name], order)
        }))
    }

    /// The value as Keras has it.
    pub(super) fn as_keras(&mut self, value: &Value) -> Value {
        match value.order {
            Order::Keras => value.clone(),
            Order::ChannelsFirst => self.in_order(value, Order::Keras, |graph| {
                let [_, height, width, channels] = value.shape[..] else {
                    unreachable!("only values of four axes have their channels first")
                };
                let moves_nothing = plain_move([channels, height, width]).is_some();
                if let (true, Some(shape)) = (moves_nothing, sides([height, width, channels])) {
                    let shape = graph.whole("channels_last", shape);
                    return graph.node("Reshape", &[&value.name, &shape], Vec::new());
                }
                let order = vec![("perm", Attribute::Ints(vec![0, 2, 3, 1]))];
                graph.node("Transpose", &[&value.name], order)
            }),
            Order::Flattened([height, width, channels]) => {
                self.in_order(value, Order::Keras, |graph| {
                    let sides = [channels, height, width].map(|side| side as i64);
                    let shape = graph.whole("planes", [&[-1], &sides[..]].concat());
                    let planes = graph.node("Reshape", &[&value.name, &shape], Vec::new());
                    let order = vec![("perm", Attribute::Ints(vec![0, 2, 3, 1]))];
                    let last = graph.node("Transpose", &[&planes], order);
                    graph.node("Flatten", &[&last], vec![("axis", Attribute::Int(1))])
                })
            }
        }
    }

    fn in_order(
        &mut self,
        value: &Value,
        order: Order,
        make: impl FnOnce(&mut Self) -> String,
    ) -> Value {
        let key = (value.name.clone(), order);
        if let Some(moved) = self.moved.get(&key) {
            return moved.clone();
        }
        let name = make(self);
        let moved = Value { name, shape: value.shape.clone(), order };
        self.moved.insert(key.clone(), moved.clone());
        self.moved_here.push(key);
        moved
    }

    /// The planes of a value; `first` says where Keras has the channels.
    ///
    /// # Errors
    ///
    /// When it has not four axes.
    pub(super) fn planes(&mut self, value: &Value, first: bool) -> Result<Planes, String> {
        if first {
            let value = self.as_keras(value);
            let [_, channels, height, width] = value.shape[..] else {
                return Err(format!("it gets {} axes, and an image has 4", value.rank()));
            };
            return Ok(Planes { name: value.name, channels, sides: [height, width], first });
        }
        let value = self.channels_first(value)?;
        let [height, width, channels] = [value.shape[1], value.shape[2], value.shape[3]];
        Ok(Planes { name: value.name, channels, sides: [height, width], first })
    }

    /// Renames the output of the network `old` to `new`, which nothing else has afterwards.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        let aside = if self.names.contains(new) {
            Some(self.unique(&format!("{new}/inner")))
        } else {
            None
        };
        let change = &|name: &mut String| {
            if name == old {
                new.clone_into(name);
            } else if let Some(aside) = aside.as_ref().filter(|_| name == new) {
                aside.clone_into(name);
            }
        };
        for node in &mut self.nodes {
            node.inputs.iter_mut().for_each(change);
            change(&mut node.output);
        }
        if let (Some(aside), Some(constant)) = (&aside, self.constants.remove(new)) {
            self.constants.insert(aside.clone(), constant);
        }
        self.names.remove(old);
        self.names.insert(new.to_owned());
    }
}

/// The shape behind a move of the channels that moves no number: of one channel, or one pixel.
fn plain_move([channels, height, width]: [Option<usize>; 3]) -> Option<Vec<i64>> {
    let plain = channels == Some(1) || (height == Some(1) && width == Some(1));
    if plain { sides([channels, height, width]) } else { None }
}

/// A shape for `Reshape` with an open batch, when all else is known.
fn sides(sides: [Option<usize>; 3]) -> Option<Vec<i64>> {
    let known = sides.iter().map(|side| side.map(|side| side as i64));
    std::iter::once(Some(-1)).chain(known).collect()
}

//! One use of one layer, with everything that it takes to convert it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::Value as Json;

use super::{
    array::Array,
    graph::{Attribute, Graph},
    settings::Settings,
    value::{Order, Planes, Value, broadcast},
};
use crate::keras::Layer;

/// What a layer is called with.
#[derive(Debug, Clone)]
pub(super) enum Given {
    Tensor(Value),
    List(Vec<Given>),
    Constant(Json),
}

/// The Keras that wrote a model, as far as its layers compute differently.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer {
    /// 1, 2 or 3.
    pub(super) version: u32,
    /// Whether kernels are to be turned around, because Theano wrote them.
    pub(super) turned: bool,
}

/// One use of one layer.
pub(super) struct LayerCall<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) layer: &'a Layer,
    pub(super) settings: Settings<'a>,
    /// The layer's arrays by their roles; taken out as they are used.
    pub(super) weights: BTreeMap<String, Array>,
    pub(super) inputs: Vec<Value>,
    pub(super) arguments: Vec<Given>,
    pub(super) named: BTreeMap<String, Given>,
    pub(super) writer: Writer,
    /// What a person should know of this layer.
    pub(super) notes: Vec<String>,
    /// What its conversion asked for.
    pub(super) asked: Asked,
}

/// Names of settings and arguments, and the furthest place of an argument.
pub(super) type Asked = RefCell<(BTreeSet<&'static str>, usize)>;

impl LayerCall<'_> {
    /// The only input.
    ///
    /// # Errors
    ///
    /// When there is none, or there are several.
    pub(super) fn input(&self) -> Result<Value, String> {
        match &self.inputs[..] {
            [one] => Ok(one.clone()),
            several => Err(format!("it gets {} tensors, and takes one", several.len())),
        }
    }

    /// Notes that a conversion knows what these settings or arguments mean.
    pub(super) fn ask(&self, place: usize, names: &[&'static str]) {
        let mut asked = self.asked.borrow_mut();
        asked.0.extend(names);
        asked.1 = asked.1.max(place);
    }

    /// Everything that was asked for.
    pub(super) fn asked(&self) -> (BTreeSet<&'static str>, usize) {
        self.asked.borrow().clone()
    }

    /// The only input as planes, with the channels where the layer's `data_format` has them.
    pub(super) fn planes(&mut self) -> Result<Planes, String> {
        let (input, first) = (self.input()?, self.settings.channels_first()?);
        self.graph.planes(&input, first)
    }

    /// An array of the layer's weights.
    ///
    /// # Errors
    ///
    /// When the file has none for that role.
    pub(super) fn weight(&mut self, role: &str) -> Result<Array, String> {
        self.weights.remove(role).ok_or_else(|| format!("the file has no `{role}` for it"))
    }

    /// A named argument that is a tensor.
    pub(super) fn named_tensor(&self, name: &str) -> Option<Value> {
        match self.named.get(name) {
            Some(Given::Tensor(value)) => Some(value.clone()),
            _ => None,
        }
    }

    /// `value` combined with constant numbers, which stand for Keras's axes and are stretched along
    /// them as numpy does.
    pub(super) fn combined(
        &mut self,
        operator: &'static str,
        value: &Value,
        (role, constant): (&str, Array),
        constant_first: bool,
    ) -> Result<Value, String> {
        if constant.values.is_empty() {
            return Err("its constant is empty".to_owned());
        }
        let spread = constant.values.len() > 1;
        let value = match value.order {
            Order::Flattened(_) if spread => self.graph.as_keras(value),
            _ => value.clone(),
        };
        let Some(missing) = value.rank().checked_sub(constant.shape.len()) else {
            return Err("its constant has more axes than what it is combined with".to_owned());
        };
        if missing == 0 && constant.shape.first().is_some_and(|&images| images != 1) {
            return Err("its constant has a number for each image of a batch".to_owned());
        }
        let sides = std::iter::repeat_n(1, missing).chain(constant.shape.iter().copied());
        let shape = broadcast(&value.shape, &sides.map(Some).collect())?;
        let value = Value { shape, ..value };
        let constant = match (value.order, spread) {
            (Order::ChannelsFirst, true) => {
                let shape = [vec![1; missing], constant.shape.clone()].concat();
                constant.reshaped(shape).transposed(&[0, 3, 1, 2])
            }
            (_, true) => constant,
            (_, false) => constant.reshaped(Vec::new()),
        };
        let constant = self.graph.floats(role, constant);
        let inputs = [value.name.as_str(), &constant];
        let inputs = if constant_first { [inputs[1], inputs[0]] } else { inputs };
        let name = self.graph.node(operator, &inputs, Vec::new());
        Ok(value.renamed(name))
    }

    /// `value` combined with one number.
    pub(super) fn with_number(
        &mut self,
        operator: &'static str,
        value: &Value,
        (role, number): (&str, f32),
    ) -> Value {
        let number = self.graph.scalar(role, number);
        let name = self.graph.node(operator, &[&value.name, &number], Vec::new());
        value.renamed(name)
    }

    pub(super) fn simple(&mut self, operator: &'static str, value: &Value) -> Value {
        self.graph.elementwise(operator, value, Vec::new())
    }

    pub(super) fn with_alpha(
        &mut self,
        operator: &'static str,
        value: &Value,
        alpha: f64,
    ) -> Value {
        self.graph.elementwise(operator, value, vec![("alpha", float(alpha))])
    }

    /// A pair of tensors of the same sides and order, combined.
    pub(super) fn both(&mut self, operator: &'static str, a: &Value, b: &Value) -> Value {
        let name = self.graph.node(operator, &[&a.name, &b.name], Vec::new());
        a.renamed(name)
    }
}

/// An attribute of f32.
#[expect(clippy::cast_possible_truncation, reason = "attributes are f32")]
pub(super) fn float(value: f64) -> Attribute {
    Attribute::Float(value as f32)
}

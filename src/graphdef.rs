//! TensorFlow graphs without Keras's description of layers: frozen graphs (`.pb`), and `SavedModel`
//! folders whose functions are written out and whose variables come from their checkpoint.
//!
//! Nothing is executed. A file may come from anybody: nodes are counted before they are read, and
//! no content makes reading panic.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use prost::Message as _;

mod flat;
mod message;
mod tensor;
mod variables;

pub(crate) use flat::{Flat, Node, Output};
pub(crate) use tensor::kind;

use crate::keras::{
    Bundle, Fault, KerasError, Signature, SignatureTensor, Store as _, Tensor, signatures,
};
use flat::{Flattening, Functions, MAX_NODES};
use message::{GraphDef, NodeDef, SavedModel, fields};

/// Most bytes of a graph; protobuf itself ends at 2 GiB.
const MAX_BYTES: u64 = (1 << 31) - 1;

/// Operations at which nothing else ends that could be scores.
const NO_ENDS: [&str; 14] = [
    "Const",
    "NoOp",
    "Placeholder",
    "PlaceholderV2",
    "PlaceholderWithDefault",
    "VarHandleOp",
    "VariableV2",
    "Variable",
    "Assert",
    "Assign",
    "AssignVariableOp",
    "MergeV2Checkpoints",
    "SaveV2",
    "RestoreV2",
];

/// The signature that is taken.
const SERVING: &str = "serving_default";

/// A tensor that goes in or comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its name for people: the key of the signature, or the node's name.
    pub name: String,
    /// Its name in the graph.
    pub tensor: String,
    /// The shape that a signature says.
    pub shape: Option<Vec<Option<usize>>>,
}

/// An opened graph.
pub struct GraphFile {
    path: PathBuf,
    /// The folder's checkpoint; none for a frozen graph.
    saved: Option<Saved>,
    nodes: Vec<NodeDef>,
    functions: Functions,
    inputs: Vec<End>,
    outputs: Vec<End>,
    /// The tensor that images are fed to, when somebody said so.
    said: Option<String>,
}

/// What a `SavedModel` folder has beside the graph.
struct Saved {
    bundle: Result<Bundle, String>,
    /// The checkpoint's keys of the variables, by the names of their nodes.
    keys: HashMap<String, String>,
}

impl GraphFile {
    /// Opens a frozen graph, or a `SavedModel` folder or the `saved_model.pb` in it.
    ///
    /// # Errors
    ///
    /// [`Fault::Foreign`] when it is no graph, [`Fault::Unsupported`] for folders without the
    /// signature `serving_default`, [`Fault::Limit`] and damage; each with what to do.
    pub fn open(path: &Path) -> Result<Self, KerasError> {
        let folder = match path.file_name() {
            Some(name) if name == "saved_model.pb" => path.parent(),
            _ => Some(path).filter(|path| path.is_dir()),
        };
        match folder {
            Some(folder) => {
                let found = signatures(folder)?;
                Self::saved(folder, found).map_err(|fault| fault.at(folder))
            }
            None => Self::frozen(path).map_err(|fault| fault.at(path)),
        }
    }

    fn frozen(path: &Path) -> Result<Self, Fault> {
        let foreign = || Fault::Foreign {
            what: "no TensorFlow graph".to_owned(),
            hint: "give a frozen graph, a SavedModel folder, or a .keras or .h5 file".to_owned(),
        };
        let (nodes, functions) = match graph(read(path)?) {
            Ok(read) => read,
            Err(Fault::Limit { what, found, limit }) => {
                return Err(Fault::Limit { what, found, limit });
            }
            Err(_) => return Err(foreign()),
        };
        if nodes.is_empty() || nodes.iter().any(|node| node.op.is_empty() || node.name.is_empty()) {
            return Err(foreign());
        }
        let outputs = ends(&nodes);
        let end = |node: &NodeDef| End {
            name: node.name.clone(),
            tensor: node.name.clone(),
            shape: None,
        };
        let inputs = nodes.iter().filter(|node| node.op.starts_with("Placeholder")).map(end);
        Ok(Self {
            path: path.to_owned(),
            saved: None,
            inputs: inputs.collect(),
            outputs,
            nodes,
            functions,
            said: None,
        })
    }

    fn saved(folder: &Path, signatures: Vec<Signature>) -> Result<Self, Fault> {
        let bytes = read(&folder.join("saved_model.pb"))?;
        let saved = SavedModel::decode(bytes).map_err(Fault::container("saved_model.pb"))?;
        let serves = |tags: &[String]| tags.iter().any(|tag| tag == "serve");
        let signature = signatures.into_iter().find(|signature| {
            signature.key == SERVING && (serves(&signature.tags) || saved.meta_graphs.len() == 1)
        });
        let signature = signature.ok_or_else(|| Fault::Unsupported {
            what: format!("its SavedModel has no signature `{SERVING}`"),
            hint: "save it with tf.saved_model.save(model, folder, signatures=...), or take the \
                   `.keras` or `.h5` file of the same model"
                .to_owned(),
        })?;
        let only = saved.meta_graphs.len() == 1;
        let tagged = |tags: Option<&message::MetaInfo>| tags.is_some_and(|info| serves(&info.tags));
        let found = saved.meta_graphs.into_iter().find(|graph| only || tagged(graph.info.as_ref()));
        let found = found.ok_or_else(|| Fault::damaged("saved_model.pb has no graph to serve"))?;
        let (nodes, functions) = graph(found.graph)?;
        let restore = found.saver.map(|saver| saver.restore).unwrap_or_default();
        let keys = variables::keys(&nodes, &functions, &restore)?;
        let bundle = Bundle::open(folder).map_err(|fault| crate::error::with_causes(&fault));
        let ends = |tensors: Vec<SignatureTensor>| {
            let end = |tensor: SignatureTensor| End {
                name: tensor.key,
                tensor: tensor.name,
                shape: tensor.shape,
            };
            tensors.into_iter().map(end).collect()
        };
        Ok(Self {
            path: folder.to_owned(),
            saved: Some(Saved { bundle, keys }),
            inputs: ends(signature.inputs),
            outputs: ends(signature.outputs),
            nodes,
            functions,
            said: None,
        })
    }

    /// The same, with images fed to the tensor of this name, whatever made it in the graph.
    #[must_use]
    pub fn with_input(self, name: &str) -> Self {
        let name = name.strip_suffix(":0").unwrap_or(name).to_owned();
        Self { said: Some(name), ..self }
    }

    /// The tensor that images are fed to, when somebody said so.
    #[must_use]
    pub fn input_said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a person calls it.
    #[must_use]
    pub fn container(&self) -> &'static str {
        if self.saved.is_some() { "TensorFlow SavedModel" } else { "frozen TensorFlow graph" }
    }

    /// The files that it consists of, in a fixed order.
    ///
    /// # Errors
    ///
    /// A folder cannot be listed.
    pub fn parts(&self) -> io::Result<Vec<PathBuf>> {
        if self.saved.is_none() {
            return Ok(vec![self.path.clone()]);
        }
        let mut variables = Vec::new();
        let folder = self.path.join("variables");
        if folder.is_dir() {
            for entry in fs::read_dir(folder)? {
                variables.push(entry?.path());
            }
        }
        variables.retain(|path| path.is_file());
        variables.sort_unstable();
        variables.insert(0, self.path.join("saved_model.pb"));
        Ok(variables)
    }

    /// What goes in: placeholders, or what the signature says.
    #[must_use]
    pub fn inputs(&self) -> &[End] {
        &self.inputs
    }

    /// What comes out: what nothing else uses, or what the signature says.
    #[must_use]
    pub fn outputs(&self) -> &[End] {
        &self.outputs
    }

    /// How often each operation is there, functions not counted.
    #[must_use]
    pub fn operations(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for node in &self.nodes {
            *counts.entry(node.op.clone()).or_default() += 1;
        }
        counts
    }

    /// The graph that the outputs named `outputs` need, with its functions written out.
    ///
    /// # Errors
    ///
    /// When something is missing, goes round in a circle, or is larger than any that is known.
    pub(crate) fn flat(&self, outputs: &[End]) -> Result<Flat, KerasError> {
        let wanted: Vec<String> = outputs.iter().map(|end| end.tensor.clone()).collect();
        let mut flattening = Flattening::new(&self.functions);
        let found = flattening.add(self.nodes.clone(), HashMap::new(), &wanted, 0);
        let outputs = found.map_err(|fault| fault.at(&self.path))?;
        Ok(Flat { outputs, ..flattening.flat })
    }

    /// The value of the variable whose node has this name.
    ///
    /// # Errors
    ///
    /// When its checkpoint does not have it, or cannot be read.
    pub(crate) fn variable(&self, node: &str) -> Result<Tensor, KerasError> {
        let read = || match &self.saved {
            None => Err(Fault::Unsupported {
                what: format!("its graph is not frozen: `{node}` is a variable"),
                hint: "freeze it with TensorFlow (convert_variables_to_constants), or give the \
                       SavedModel folder with its variables"
                    .to_owned(),
            }),
            Some(Saved { bundle: Err(why), .. }) => {
                Err(Fault::Damaged(format!("no weights: {why}")))
            }
            Some(Saved { bundle: Ok(bundle), keys }) => {
                bundle.read(keys.get(node).map_or(node, String::as_str))
            }
        };
        read().map_err(|fault| fault.at(&self.path))
    }
}

fn read(path: &Path) -> Result<Bytes, Fault> {
    let length = fs::metadata(path).map_err(Fault::Unreadable)?.len();
    Fault::within("graph", length, MAX_BYTES)?;
    fs::read(path).map(Bytes::from).map_err(Fault::Unreadable)
}

fn graph(bytes: Bytes) -> Result<(Vec<NodeDef>, Functions), Fault> {
    let count = fields(&bytes).ok_or_else(|| Fault::damaged("its graph"))?;
    Fault::within("number of nodes", count as u64, MAX_NODES as u64)?;
    let graph = GraphDef::decode(bytes).map_err(Fault::container("graph"))?;
    let functions = graph.library.map(|library| library.functions).unwrap_or_default();
    Fault::within("number of functions", functions.len() as u64, MAX_NODES as u64)?;
    Ok((flat::nodes(&graph.nodes)?, Functions::of(functions)?))
}

/// What no other operation uses. An index of the best class is none when scores lie beside it.
fn ends(nodes: &[NodeDef]) -> Vec<End> {
    let inputs = nodes.iter().flat_map(|node| &node.inputs);
    let used: HashSet<&str> = inputs
        .map(|input| input.trim_start_matches('^').split(':').next().unwrap_or_default())
        .collect();
    let end = |node: &&NodeDef| {
        !used.contains(&*node.name)
            && !NO_ENDS.contains(&&*node.op)
            && node.inputs.iter().any(|input| !input.starts_with('^'))
    };
    let found = nodes.iter().filter(end);
    found
        .map(|node| End { name: node.name.clone(), tensor: node.name.clone(), shape: None })
        .collect()
}

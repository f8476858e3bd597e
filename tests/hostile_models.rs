//! Models made to do harm, or broken: each ends the program with 10 and a message, before an image
//! is read, in little memory.
//!
//! They are made here, from ONNX's own messages, and differ from a sound classifier in one thing.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, time::Duration};

use linnaeus::{
    device::Device,
    engine::OrtEngine,
    model::{Model, ModelFile},
    onnx::proto::{
        AttributeProto, Dimension, DimensionValue, EXTERNAL, FunctionProto, GraphProto, ModelProto,
        NodeProto, OperatorSetIdProto, SparseTensorProto, StringStringEntryProto, TensorProto,
        TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto, attribute_kind,
    },
    recipe::{Recipe, RecipeSpec},
    runtime::{self, RuntimeRequest},
};
use prost::Message as _;

mod program;

use program::{Done, Program, TestDir, repository};

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// A dimension's size; below zero it is open.
fn value(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dimension = |&dim: &i64| Dimension {
        value: Some(match dim {
            ..0 => DimensionValue::Named("n".into()),
            dim => DimensionValue::Fixed(dim),
        }),
        ..Dimension::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dimension).collect() };
    let tensor = TensorType { elem_type, shape: Some(shape) };
    let of = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(of) }
}

fn node(op: &str, input: &[&str], output: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let (domain, op_type) = op.rsplit_once(':').unwrap_or(("", op));
    NodeProto {
        input: names(input),
        output: names(output),
        op_type: op_type.into(),
        domain: domain.into(),
        ..NodeProto::default()
    }
}

fn floats(name: &str, dims: &[i64], count: usize) -> TensorProto {
    let numbers = (0..count).flat_map(|at| (at as f32 / 9.0 - 0.5).to_le_bytes());
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        raw_data: numbers.collect::<Vec<_>>().into(),
        ..TensorProto::default()
    }
}

fn whole(name: &str, numbers: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![numbers.len() as i64],
        data_type: INT64,
        int64_data: numbers.to_vec(),
        ..TensorProto::default()
    }
}

/// The sound classifier: the mean of each channel of N×3×8×8, times 3×5 weights.
fn sound() -> ModelProto {
    let nodes = vec![
        node("GlobalAveragePool", &["x"], &["p"]),
        node("Flatten", &["p"], &["f"]),
        node("Gemm", &["f", "W"], &["logits"]),
    ];
    let graph = GraphProto {
        node: nodes,
        name: "g".into(),
        initializer: vec![floats("W", &[3, 5], 15)],
        input: vec![value("x", FLOAT, &[-1, 3, 8, 8])],
        output: vec![value("logits", FLOAT, &[-1, 5])],
        ..GraphProto::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![opset("", 17), opset("local", 1), opset("com.evil", 1)],
        ..ModelProto::default()
    }
}

/// The sound model with a change to its graph.
fn with(change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let mut model = sound();
    change(model.graph.as_mut().unwrap());
    model
}

/// The sound model with a first node of its own, whose output is the image for the rest.
fn begins_with(first: NodeProto, more: Vec<TensorProto>) -> ModelProto {
    with(|graph| {
        graph.node[0].input = vec!["y".into()];
        graph.node.insert(0, first);
        graph.initializer.extend(more);
    })
}

/// The weights in another file.
fn outside(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: (*key).into(),
        value: (*value).into(),
    };
    TensorProto {
        raw_data: Vec::new().into(),
        data_location: EXTERNAL,
        external_data: entries.iter().map(entry).collect(),
        ..floats("W", &[3, 5], 0)
    }
}

fn weights_in(location: &str) -> ModelProto {
    with_weights(outside(&[("location", location), ("offset", "0"), ("length", "60")]))
}

fn with_weights(weights: TensorProto) -> ModelProto {
    with(|graph| graph.initializer = vec![weights])
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: name.into(), kind, ..AttributeProto::default() }
}

fn function(name: &str, calls: &[&str]) -> FunctionProto {
    let last = calls.len() - 1;
    let value = |at: usize| match at {
        0 => "a".to_owned(),
        at if at == calls.len() => "b".to_owned(),
        at => format!("t{at}"),
    };
    let nodes = (0..=last).map(|at| node(calls[at], &[&value(at)], &[&value(at + 1)]));
    FunctionProto {
        name: name.into(),
        domain: "local".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: nodes.collect(),
        opset_import: sound().opset_import,
        ..FunctionProto::default()
    }
}

fn with_functions(functions: Vec<FunctionProto>) -> ModelProto {
    let first = node("local:f0", &["x"], &["y"]);
    ModelProto { functions, ..begins_with(first, Vec::new()) }
}

/// A model in a folder of its own, beside what it may want to reach.
struct Case {
    folder: TestDir,
}

impl Case {
    fn new(model: &[u8]) -> Self {
        let folder = TestDir::new();
        folder.write("m/model.onnx", model);
        folder.write("secret.bin", [0; 60]);
        folder.write("m/there.bin", [0; 60]);
        folder.write("m/short.bin", [0; 59]);
        fs::create_dir(folder.path("m/folder")).unwrap();
        symlink(folder.path("secret.bin"), folder.path("m/link.bin")).unwrap();
        symlink(folder.path(""), folder.path("m/way")).unwrap();
        symlink("there.bin", folder.path("m/alias.bin")).unwrap();
        let made = Command::new("mkfifo").arg(folder.path("m/pipe.bin")).status();
        assert!(made.unwrap().success());
        Self { folder }
    }

    fn program(&self) -> Program {
        let recipe = ["--resize", "squash", "--interpolation", "bilinear", "--scale", "1/255"];
        let images = repository("tests/images/formula").into_os_string();
        let args = ["classify".into(), images, "--model".into(), "m/model.onnx".into()];
        let more = ["--threads", "2", "--quiet"].into_iter().chain(recipe).map(Into::into);
        self.folder.program(args.into_iter().chain(more))
    }

    fn run(&self) -> Done {
        let mut running = self.program().start();
        let status = format!("/proc/{}/status", running.child.id());
        let mut peak = 0;
        while running.child.try_wait().unwrap().is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        }
        let done = running.finish();
        assert!(peak < 200 << 10, "{peak} KiB: {done}");
        done
    }
}

#[test]
fn the_model_that_the_others_are_made_from_runs() {
    for model in [
        sound(),
        weights_in("there.bin"),
        weights_in("./there.bin"),
        // A link to a file beside the model.
        weights_in("alias.bin"),
        with_functions(vec![function("f0", &["Relu", "local:f1"]), function("f1", &["Relu"])]),
    ] {
        Case::new(&model.encode_to_vec()).run().expect(0);
    }
}

/// Expects each model to be refused before ONNX Runtime is even looked for.
fn refused(cases: Vec<(&str, Vec<u8>, &str)>) {
    for (what, model, words) in cases {
        let done = Case::new(&model).run().expect(10).says(&["error: ", words, "hint: "]);
        assert!(done.stdout.is_empty(), "{what}: {done}");
        let blind = Case::new(&model);
        let missing = blind.program().env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
        missing.exits(10).says(&[words]);
    }
}

#[test]
fn weights_outside_the_models_folder_are_refused() {
    let number = |offset: &str, length: &str| {
        with_weights(outside(&[("location", "there.bin"), ("offset", offset), ("length", length)]))
    };
    let cases = [
        ("upwards", weights_in("../secret.bin"), "outside the model's folder"),
        ("down and up", weights_in("folder/../../secret.bin"), "outside the model's folder"),
        ("backslashes", weights_in("folder\\..\\..\\secret.bin"), "outside the model's folder"),
        ("absolute", weights_in("/etc/passwd"), "an absolute path"),
        ("with a drive", weights_in("C:\\secret.bin"), "an absolute path"),
        ("link to a file", weights_in("link.bin"), "leads out"),
        ("link to a folder", weights_in("way/secret.bin"), "leads out"),
        ("pipe", weights_in("pipe.bin"), "no regular file"),
        ("folder", weights_in("folder"), "no regular file"),
        ("memory", weights_in("*/_ORT_MEM_ADDR_/*"), "an address in memory"),
        ("no name", weights_in(""), "no file name"),
        ("line end", weights_in("there.bin\n"), "no file name"),
        ("missing", weights_in("gone.bin"), "not there"),
        ("short", weights_in("short.bin"), "59 bytes and would need 60"),
        ("behind the end", number("1", "60"), "60 bytes and would need 61"),
        ("overflow", number("18446744073709551608", "60"), "no number of bytes"),
        ("huge", number("9223372036854775807", "60"), "would need"),
        ("negative", number("-4", "60"), "no number of bytes"),
        ("words", number("0x10", "60"), "no number of bytes"),
        (
            "two files",
            with_weights(outside(&[("location", "../secret.bin"), ("location", "there.bin")])),
            "and in another file, too",
        ),
        (
            "in a node",
            with(|graph| {
                graph.initializer.clear();
                let tensor = outside(&[("location", "../secret.bin")]);
                let mut constant = node("Constant", &[], &["W"]);
                let value = attribute("value", attribute_kind::TENSOR);
                constant.attribute = vec![AttributeProto { t: Some(Box::new(tensor)), ..value }];
                graph.node.insert(0, constant);
            }),
            "outside the model's folder",
        ),
        (
            "sparse",
            with(|graph| {
                graph.initializer.clear();
                graph.sparse_initializer = vec![SparseTensorProto {
                    values: Some(TensorProto {
                        dims: vec![15],
                        ..outside(&[("location", "../secret.bin")])
                    }),
                    indices: Some(whole("", &(0..15).collect::<Vec<_>>())),
                    dims: vec![3, 5],
                }];
            }),
            "outside the model's folder",
        ),
        (
            "in a function",
            with_functions(vec![FunctionProto {
                attribute_proto: vec![AttributeProto {
                    t: Some(Box::new(outside(&[("location", "/etc/passwd")]))),
                    ..attribute("w", attribute_kind::TENSOR)
                }],
                ..function("f0", &["Relu"])
            }]),
            "an absolute path",
        ),
    ];
    let encoded =
        cases.into_iter().map(|(what, model, words)| (what, model.encode_to_vec(), words));
    refused(encoded.collect());
}

#[test]
fn what_is_outside_is_not_even_opened() {
    let trace = Command::new("strace").args(["-qq", "-o/dev/null", "true"]).status();
    if !trace.is_ok_and(|status| status.success()) {
        return told!("skipped: no strace that may trace");
    }
    for location in ["../secret.bin", "link.bin", "way/secret.bin"] {
        let case = Case::new(&weights_in(location).encode_to_vec());
        let log = case.folder.path("calls");
        let calls =
            ["strace", "-f", "-qq", "-e", "trace=openat,open,openat2", "-o"].map(Into::into);
        case.program().through(calls.into_iter().chain([log.clone().into_os_string()])).exits(10);
        let calls = fs::read_to_string(log).unwrap();
        assert!(calls.contains("model.onnx"), "{calls}");
        assert!(!calls.contains("secret.bin") && !calls.contains("link.bin"), "{calls}");
    }
}

#[test]
fn weights_that_are_not_there_or_do_not_fit_memory_are_refused() {
    let shape = |dims: &[i64], count| with_weights(floats("W", dims, count)).encode_to_vec();
    refused(vec![
        ("three gigabytes in a small file", shape(&[3 << 20, 256], 4), "3221225472 bytes"),
        ("2⁴⁰ rows", shape(&[1 << 40, 5], 4), "are there"),
        ("2⁸⁰ numbers", shape(&[1 << 40, 1 << 40], 4), "impossible shape"),
        ("2⁶³ numbers", shape(&[1 << 62, 2], 4), "impossible shape"),
        ("below zero", shape(&[-3, 5], 15), "impossible shape"),
        ("none", shape(&[3, 5], 0), "60 bytes by its shape, and 0 are there"),
        ("one too few", shape(&[3, 5], 14), "60 bytes by its shape, and 56 are there"),
    ]);
    // A sparse file of half a terabyte that has all that it is said to have.
    let large = outside(&[("location", "large.bin"), ("offset", "0")]);
    let model = with_weights(TensorProto { dims: vec![3, 1 << 35], ..large });
    let case = Case::new(&model.encode_to_vec());
    let file = fs::File::create(case.folder.path("m/large.bin")).unwrap();
    if file.set_len(3 << 37).is_ok() {
        case.run().expect(10).says(&["of memory"]);
    } else {
        told!("skipped: this file system has no files of that size");
    }
    let case = Case::new(b"");
    fs::File::create(case.folder.path("m/model.onnx")).unwrap().set_len(3 << 30).unwrap();
    case.run().expect(10).says(&["larger than 2 GiB"]);
}

#[test]
fn graphs_without_an_end_are_refused() {
    let twice = |at: usize| {
        let next = format!("local:f{}", at + 1);
        function(&format!("f{at}"), &[&next, &next])
    };
    let mut bomb: Vec<_> = (0..60).map(twice).collect();
    bomb.push(function("f60", &["Relu"]));
    // A chain that is longer than a stack of calls would be, and sound.
    let link = |at: usize| function(&format!("f{at}"), &[&format!("local:f{}", at + 1)]);
    let mut chain: Vec<_> = (0..20_000).map(link).collect();
    chain.push(function("f20000", &["local:f0"]));
    let mut nested = GraphProto { name: "g".into(), ..GraphProto::default() };
    for _ in 0..40 {
        let mut inner = node("If", &["c"], &["y"]);
        let branch = attribute("then_branch", attribute_kind::GRAPH);
        inner.attribute = vec![AttributeProto { g: Some(Box::new(nested)), ..branch }];
        nested = GraphProto { node: vec![inner], name: "g".into(), ..GraphProto::default() };
    }
    let deep = ModelProto { graph: Some(nested), ..sound() };
    let functions = |functions| with_functions(functions).encode_to_vec();
    refused(vec![
        ("itself", functions(vec![function("f0", &["Relu", "local:f0"])]), "calls itself"),
        (
            "each other",
            functions(vec![function("f0", &["local:f1"]), function("f1", &["local:f0"])]),
            "calls itself",
        ),
        ("a long ring", functions(chain), "calls itself"),
        ("doubled sixty times", functions(bomb), "more than 1048576 nodes"),
        ("graphs in graphs", deep.encode_to_vec(), "levels deep"),
        ("ten thousand of them", nested_graphs(10_000), "levels deep"),
    ]);
}

/// A model of graphs inside each other, written byte by byte: encoding it would overflow the stack.
fn nested_graphs(levels: usize) -> Vec<u8> {
    let field = |number: u64, payload: &[u8]| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(number << 3 | 2, &mut bytes);
        prost::encoding::encode_varint(payload.len() as u64, &mut bytes);
        bytes.extend(payload);
        bytes
    };
    let mut graph = field(2, b"g");
    for _ in 0..levels {
        let attribute = [field(1, b"then_branch"), field(6, &graph)].concat();
        let node = [field(2, b"y"), field(4, b"If"), field(5, &attribute)].concat();
        graph = field(1, &node);
    }
    [b"\x08\x08".to_vec(), field(7, &graph)].concat()
}

/// Models that only ONNX Runtime knows to be wrong.
#[test]
fn what_onnx_runtime_refuses_is_10_with_its_words() {
    let cases = [
        ("weights missing", with(|graph| graph.initializer.clear()), "W"),
        (
            "weights of another type",
            with_weights(TensorProto {
                data_type: INT64,
                raw_data: vec![0; 120].into(),
                ..floats("W", &[3, 5], 0)
            }),
            "Type",
        ),
        (
            "an unknown type",
            with_weights(TensorProto { data_type: 99, ..floats("W", &[3, 5], 15) }),
            "cannot load",
        ),
        ("custom domain", begins_with(node("com.evil:Evil", &["x"], &["y"]), vec![]), "com.evil"),
        ("unknown operator", begins_with(node("Evil", &["x"], &["y"]), vec![]), "Evil"),
        ("a cycle", with(|graph| graph.node[0].input = vec!["f".into()]), "acyclic"),
        ("a value from nowhere", with(|graph| graph.node[0].input = vec!["z".into()]), "z"),
        ("an output from nowhere", with(|graph| graph.output[0].name = "z".into()), "z"),
        (
            "a future operator set",
            {
                let mut model = sound();
                model.opset_import[0].version = 9999;
                model
            },
            "opset",
        ),
        (
            "a side of 2⁴⁰ pixels",
            { with(|graph| graph.input[0] = value("x", FLOAT, &[-1, 3, 1 << 40, 1 << 40])) },
            "1099511627776",
        ),
        (
            "a batch of 2⁴⁰ images",
            { with(|graph| graph.input[0] = value("x", FLOAT, &[1 << 40, 3, 8, 8])) },
            "1099511627776",
        ),
        (
            "a constant of four terabytes",
            {
                let mut model = begins_with(
                    node("ConstantOfShape", &["S"], &["big"]),
                    vec![whole("S", &[1 << 40])],
                );
                let graph = model.graph.as_mut().unwrap();
                graph.node.insert(1, node("ReduceMax", &["big"], &["most"]));
                graph.node.insert(2, node("Add", &["x", "most"], &["y"]));
                model
            },
            "blank images",
        ),
        (
            "an image of a petabyte",
            {
                let times = whole("R", &[1, 1, 1 << 24, 1 << 22]);
                begins_with(node("Tile", &["x", "R"], &["y"]), vec![times])
            },
            "blank images",
        ),
    ];
    for (what, model, words) in cases {
        let done = Case::new(&model.encode_to_vec()).run().expect(10).says(&["error: ", words]);
        assert!(done.stdout.is_empty(), "{what}: {done}");
        // Its own log is not on the terminal beside that.
        assert!(!done.stderr.contains("onnxruntime:,"), "{what}: {done}");
    }
}

#[test]
fn names_in_a_model_cannot_steer_the_terminal() {
    let evil = "\u{1b}]0;owned\u{7}";
    let mut failing = node("Reshape", &["x", evil], &["y"]);
    failing.name = evil.into();
    for model in [
        begins_with(node(evil, &["x"], &["y"]), vec![]),
        with_weights(TensorProto {
            name: evil.into(),
            ..outside(&[("location", "../a\u{1b}[2J")])
        }),
        begins_with(failing, vec![whole(evil, &[7, 7, 7, 7])]),
    ] {
        let done = Case::new(&model.encode_to_vec()).run().expect(10);
        assert!(!done.stderr.contains(['\u{1b}', '\u{7}']), "{done}");
    }
}

#[test]
fn a_model_that_loops_for_ever_is_given_up() {
    let same = |from: &str, to: &str| node("Identity", &[from], &[to]);
    let body = GraphProto {
        node: vec![same("c", "co"), same("v", "vo")],
        name: "b".into(),
        input: vec![
            value("i", INT64, &[]),
            value("c", BOOL, &[]),
            value("v", FLOAT, &[-1, 3, 8, 8]),
        ],
        output: vec![value("co", BOOL, &[]), value("vo", FLOAT, &[-1, 3, 8, 8])],
        ..GraphProto::default()
    };
    let mut first = node("Loop", &["M", "C", "x"], &["y"]);
    let graph = attribute("body", attribute_kind::GRAPH);
    first.attribute = vec![AttributeProto { g: Some(Box::new(body)), ..graph }];
    let most = TensorProto { dims: Vec::new(), ..whole("M", &[1 << 62]) };
    let yes = TensorProto {
        name: "C".into(),
        data_type: BOOL,
        int32_data: vec![1],
        ..TensorProto::default()
    };
    let folder = TestDir::new();
    let path = folder.write("m.onnx", begins_with(first, vec![most, yes]).encode_to_vec());
    let error = first_answer(&path, Duration::from_secs(1)).unwrap_err();
    assert!(error.contains("1s"), "{error}");
    let sound = folder.write("s.onnx", sound().encode_to_vec());
    assert_eq!(first_answer(&sound, Duration::from_mins(1)).unwrap(), 5);
}

/// The classes of a model's first answer.
fn first_answer(path: &Path, limit: Duration) -> Result<usize, String> {
    let request = RuntimeRequest { explicit: None, gpu_wanted: false };
    let runtime = runtime::locate(&request).unwrap().load().unwrap();
    let model = Model::load(ModelFile::open(path).unwrap(), &runtime, Device::Cpu, 1).unwrap();
    let toml = "resize = 'squash'\ninterpolation = 'bilinear'\nscale = '1/255'";
    let spec: RecipeSpec = toml::from_str(toml).unwrap();
    let input = model.input.clone();
    let recipe = Recipe::resolve(&spec, &input).unwrap();
    let session = model.into_sessions().session().unwrap();
    let mut engine = OrtEngine::new(session, &recipe, &input, "logits");
    engine.probe_within::<f32>(2, limit).map_err(|error| error.to_string())
}

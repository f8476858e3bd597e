//! A real browser, driven over its debugging pipe: descriptors 3 and 4, and NUL between messages.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

/// Nothing that a page does takes as long.
const PATIENCE: Duration = Duration::from_mins(2);
/// Time to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// A running browser with one page.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Vec<u8>>,
    session: String,
    sent: u64,
    /// Everything that the page told: requests, messages of the console, errors, dialogs.
    pub(crate) events: Vec<Value>,
    _folder: tempfile::TempDir,
}

/// The browser of this machine; `CHROMIUM` names another.
fn program() -> Option<PathBuf> {
    let named = env::var_os("CHROMIUM").map(PathBuf::from);
    let paths = env::var_os("PATH").unwrap_or_default();
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(|name| {
        env::split_paths(&paths).map(|folder| folder.join(name)).find(|file| file.is_file())
    });
    named.or(found)
}

impl Browser {
    /// Starts it; the error says why this machine has none that works.
    pub(crate) fn start() -> Result<Self, String> {
        let program = program().ok_or("no Chromium on this machine")?;
        let folder = tempfile::tempdir().unwrap();
        // A shell turns its input and output into the descriptors that the browser talks over.
        let script = "exec \"$0\" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
                      --no-first-run --remote-debugging-pipe --user-data-dir=\"$1\" \
                      3<&0 4>&1 </dev/null >/dev/null";
        // A group of its own, so that nothing of it is left behind.
        let mut child = Command::new("sh")
            .args(["-c", script])
            .args([&program, &folder.path().join("profile")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = messages(BufReader::new(child.stdout.take().unwrap()));
        let (session, events) = (String::new(), Vec::new());
        let mut browser =
            Self { child, commands, answers, session, sent: 0, events, _folder: folder };
        let about = json!({ "url": "about:blank" });
        let target = browser.try_call("Target.createTarget", &about).map_err(|reason| {
            format!("{} does not work on this machine: {reason}", program.display())
        });
        let target = match target {
            Err(reason) if env::var_os("CHROMIUM").is_some() => panic!("{reason}"),
            other => other?,
        };
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &attach);
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Ok(browser)
    }

    /// Calls a method of the browser's protocol and gives its result.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|reason| panic!("{method}: {reason}"))
    }

    fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let sent = self.commands.write_all(format!("{message}\0").as_bytes());
        sent.map_err(|error| error.to_string())?;
        loop {
            let answer = self.next()?;
            if answer["id"] == self.sent {
                return match &answer["error"] {
                    Value::Null => Ok(answer["result"].clone()),
                    error => Err(error.to_string()),
                };
            }
        }
    }

    /// The next message; those that answer no call are kept.
    fn next(&mut self) -> Result<Value, String> {
        let bytes = self.answers.recv_timeout(PATIENCE).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => format!("no answer in {PATIENCE:?}"),
            mpsc::RecvTimeoutError::Disconnected => "the browser ended".to_owned(),
        })?;
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        if message["id"].is_null() {
            self.events.push(message.clone());
        }
        Ok(message)
    }

    /// Opens a file at a width, `light` or `dark`, and waits until it is loaded.
    pub(crate) fn open(&mut self, page: &Path, width: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
        self.events.clear();
        self.call("Page.navigate", &json!({ "url": format!("file://{}", page.display()) }));
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            self.next().unwrap();
        }
    }

    /// The value of an expression in the page; a promise is waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", &params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Presses a key on what has the focus.
    pub(crate) fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" && kind == "keyDown" { "\r" } else { "" };
            self.call("Input.dispatchKeyEvent", &json!({ "type": kind, "key": key, "text": text }));
        }
    }

    /// What a quiet page does not do: requests to elsewhere, errors, messages, dialogs.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let told = |event: &Value| {
            let method = event["method"].as_str().unwrap_or_default();
            let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
            match method {
                "Network.requestWillBeSent" => {
                    !url.starts_with("file:") && !url.starts_with("data:")
                }
                _ => [
                    "Runtime.exceptionThrown",
                    "Runtime.consoleAPICalled",
                    "Log.entryAdded",
                    "Page.javascriptDialogOpening",
                ]
                .contains(&method),
            }
        };
        self.events.iter().filter(|event| told(event)).map(Value::to_string).collect()
    }
}

/// Messages as they come, from a thread of its own, so that waiting for one has an end.
#[expect(clippy::disallowed_methods, reason = "it ends with the browser, whose pipe it reads")]
fn messages(mut pipe: BufReader<std::process::ChildStdout>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        while pipe.read_until(0, &mut bytes).is_ok() && bytes.pop() == Some(0) {
            if sender.send(std::mem::take(&mut bytes)).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({ "id": 0, "method": "Browser.close" });
        // It may have ended by itself.
        let _ = self.commands.write_all(format!("{close}\0").as_bytes());
        let deadline = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        // What is left of its group, if anything is.
        let group = self.child.id().try_into().ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = self.child.wait();
    }
}

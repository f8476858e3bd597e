#!/usr/bin/env python3
"""Images per second of linnaeus beside a peer script in Python, on the same photos and model, in one interleaved run.

  compare_peer.py PEER.py MODEL.onnx PEER_RECIPE.json FOLDER JOB.toml [--runs N] [--peer "--threads 2 --batch 4 --intra 1"]

PEER.py takes MODEL RECIPE FOLDER and flags, and prints "RATE images/s" on stderr (Pillow, numpy and onnxruntime; with
--sweep it finds its own best flags, which is done first unless --peer gives them). JOB.toml is a linnaeus job for the
same folder and model; its output goes to a temporary folder. Both rates leave out loading the model.
"""
import argparse, json, re, statistics, subprocess, sys, tempfile
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "target" / "release" / "linnaeus"


def peer_rate(args, flags):
    command = [sys.executable, args.peer_script, args.model, args.recipe, args.folder, "-o", "/dev/null", *flags]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return float(re.search(r"([\d.]+) images/s", printed)[1])


def best_flags(args):
    command = [sys.executable, args.peer_script, args.model, args.recipe, args.folder, "--sweep"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(printed, end="", flush=True)
    return re.search(r"best: .* with (.*)", printed)[1].split()


def our_rate(args, folder):
    output = Path(folder) / "rows.csv"
    subprocess.run([PROGRAM, "run", args.job, "--quiet", "--output", output, *args.ours.split()], check=True)
    return json.loads(output.with_suffix(".run.json").read_text())["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("peer_script", "model", "recipe", "folder", "job"):
        parser.add_argument(name)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="the peer's flags, instead of a sweep")
    parser.add_argument("--ours", default="", help="more flags for linnaeus")
    args = parser.parse_args()
    flags = args.peer.split() if args.peer else best_flags(args)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(args.runs):
            theirs.append(peer_rate(args, flags))
            ours.append(our_rate(args, folder))
            print(f"run {run + 1}: linnaeus {ours[-1]:.1f}, peer {theirs[-1]:.1f} images/s, ratio {ours[-1] / theirs[-1]:.2f}", flush=True)
    ratios = [o / t for o, t in zip(ours, theirs)]
    print(
        f"median: linnaeus {statistics.median(ours):.1f}, peer {statistics.median(theirs):.1f} images/s, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()

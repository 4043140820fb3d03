#!/usr/bin/env python3
"""Runs torchvision's families of classifiers, from both of PyTorch's exporters, through finetune and prints a table.

    pip install -r scripts/requirements.txt
    python scripts/families.py make --out DIR [--only resnet18,alexnet]
    python scripts/families.py run --oracles DIR [--only resnet18,alexnet] [--report OUT] > docs/families.md

`make` exports every architecture of Tests/families.txt as a plain user does (batch norm folded by the exporter, names
possibly lost) with seeded random weights, and stores PyTorch's answers beside it: DIR/ARCH-EXPORTER, format in
oracle.py, with final values of the trained tensors only. `run` starts the package's oracle tests with
FINETUNE_ORACLES=DIR and FINETUNE_ORACLES_REPORT=OUT. For every folder of DIR they append lines of JSON to
OUT/report.jsonl, errors relative to the largest value or where they stopped,

    {"name": "resnet18-dynamo", "logits": "3e-07"}
    {"name": "resnet18-dynamo", "head": "2e-06"}
    {"name": "resnet18-dynamo", "loss": "1e-7", "gradients": "2e-06", "weights": "1e-07"}
    {"name": "resnet18-torchscript", "error": "the message"}

and leave the trained model as OUT/NAME.onnx with its logits in OUT/NAME.safetensors, which are then checked here: ONNX's
checker, ONNX Runtime's logits against finetune's, and that `finetune diff` sees no tensor changed but the unfrozen ones.
What an earlier `run` with the same OUT found stays in the table.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPORTERS = ("dynamo", "torchscript")
CLASSES, STEPS, BATCH, LR, MOMENTUM = 10, 3, 2, 1e-3, 0.9
LIMITS = {"logits": 1e-4, "head": 1e-3, "loss": 1e-4, "gradients": 1e-3, "weights": 1e-4, "export": 1e-4}


def families() -> list[tuple[str, int, list[str]]]:
    """Architecture, picture size and what is unfrozen, from Tests/families.txt."""
    lines = (ROOT / "Tests" / "families.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return [(row[0], int(row[1]), row[2:]) for row in rows]


def make_one(arch: str, exporter: str, size: int, unfreeze: list[str], out: pathlib.Path) -> None:
    import torch
    import torchvision

    import oracle

    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    more = {"aux_logits": False, "init_weights": True} if arch in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(arch, weights=None, num_classes=CLASSES, **more)
    model = oracle.randomise_zeros(oracle.randomise_batch_norm(model)).eval()
    path = out / f"{arch}-{exporter}" / "model.onnx"
    oracle.export(model, path, torch.randn(2, 3, size, size), exporter)
    model = oracle.fold_batch_norm(model)
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((STEPS, BATCH, 3, size, size), dtype=np.float32)
    labels = rng.integers(0, CLASSES, (STEPS, BATCH))
    start = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    answers = oracle.training_run(model, unfreeze, pictures, labels, lr=LR, momentum=MOMENTUM)
    frozen = [key for key in answers if key.startswith("final/") and key.replace("final/", "grad/") not in answers]
    for key in frozen:
        del answers[key]
    answers, names = oracle.as_stored(path, start, answers)
    got = oracle.runtime_logits(path, pictures[0])
    difference = np.abs(got - answers["logits_eval"]).max() / np.abs(got).max()
    settings = {
        "arch": arch, "exporter": exporter, "bn": "fold", "bn_mode": "eval", "unfreeze": ",".join(unfreeze),
        "lr": str(LR), "momentum": str(MOMENTUM), "weight_decay": "0.0", "names": json.dumps(names),
        **oracle.versions("torch", "torchvision", "onnx", "onnxscript", "onnxruntime"),
    }
    oracle.save(path.parent / "oracle.safetensors", answers, settings)
    trained = sum(key.startswith("final/") for key in answers)
    print(f"{arch}-{exporter}: {trained} trained tensors, PyTorch against ONNX Runtime {difference:.1e}", flush=True)


def make(a: argparse.Namespace) -> int:
    """One process per export: an exporter that fails or keeps memory does not touch the rest."""
    only, failed = [name for name in a.only.split(",") if name], []
    for arch, size, unfreeze in families():
        for exporter in EXPORTERS:
            if only and arch not in only:
                continue
            call = f"make_one({arch!r}, {exporter!r}, {size}, {unfreeze!r}, Path({str(a.out.resolve())!r}))"
            code = f"from pathlib import Path; from families import make_one; {call}"
            if subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts").returncode != 0:
                failed.append(f"{arch}-{exporter}")
    if failed:
        print("failed: " + ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


def changed_tensors(before: pathlib.Path, after: pathlib.Path) -> set[str]:
    """Names of the tensors that `finetune diff` sees changed; raises if it sees anything else but metadata.

    A layer whose initializer the exporter had merged with another's gets its own: its node reads another name, or the
    Identity that gave it the name is gone.
    """
    import onnx

    command = [ROOT / ".build" / "release" / "finetune", "diff", before, after, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True)
    difference = json.loads(answer.stdout.splitlines()[-1])
    changed = {tensor["name"] for tensor in difference["tensors"] if tensor["changed"]}
    graph = onnx.load(before, load_external_data=False).graph
    constants = {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    new = changed - {t.name for t in graph.initializer} - constants
    if difference["nodes_changed"] > len(new) or difference["shapes_changed"] or difference["fields_changed"]:
        raise ValueError(f"finetune diff: {difference | {'tensors': sorted(changed)}}")
    return changed


def export_error(folder: pathlib.Path, exported: pathlib.Path) -> float:
    """ONNX Runtime's logits of the exported model against finetune's after training; raises if anything else is off."""
    import onnx
    from safetensors import safe_open

    import oracle

    onnx.checker.check_model(str(exported), full_check=True)
    with safe_open(folder / "oracle.safetensors", "numpy") as answers:
        trained = {key.removeprefix("final/") for key in answers.keys() if key.startswith("final/")}
        pictures = answers.get_tensor("input")[0]
    changed = changed_tensors(folder / "model.onnx", exported)
    if not changed or changed - trained:
        raise ValueError(f"changed but frozen: {sorted(changed - trained)}, of {len(changed)} that changed")
    with safe_open(exported.with_suffix(".safetensors"), "numpy") as answers:
        expected = answers.get_tensor("logits")
    got = oracle.runtime_logits(exported, pictures)
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def measure(folders: list[pathlib.Path], out: pathlib.Path, test: str) -> None:
    """Runs the oracle tests on `folders` and checks what they exported; everything found goes to OUT/report.jsonl."""
    report = out / "report.jsonl"
    names = {folder.name for folder in folders}
    old = report.read_text().splitlines() if report.exists() else []
    report.write_text("".join(line + "\n" for line in old if json.loads(line)["name"] not in names))
    environment = os.environ | {
        "FINETUNE_ORACLES": ":".join(map(str, folders)), "FINETUNE_ORACLES_REPORT": str(out),
    }
    subprocess.run(test.split(), cwd=ROOT, env=environment, stdout=sys.stderr)
    for folder in folders:
        exported = out / f"{folder.name}.onnx"
        if not exported.exists():
            continue
        try:
            found = {"export": str(export_error(folder, exported))}
        except Exception as error:
            found = {"error": f"export: {error}"}
        with report.open("a") as file:
            file.write(json.dumps({"name": folder.name} | found) + "\n")
    for file in [*out.glob("*.onnx"), *out.glob("*.onnx.data"), *out.glob("*.safetensors")]:
        file.unlink()


def run(a: argparse.Namespace) -> int:
    import oracle

    out = a.report or pathlib.Path(tempfile.mkdtemp(prefix="finetune-families-"))
    out.mkdir(parents=True, exist_ok=True)
    folders = sorted(path.parent for path in a.oracles.resolve().glob("*/oracle.safetensors"))
    only = [name for name in a.only.split(",") if name]
    measure([f for f in folders if not only or f.name.rsplit("-", 1)[0] in only], out, a.test)
    results: dict[str, dict] = {}
    for line in map(json.loads, (out / "report.jsonl").read_text().splitlines()):
        results.setdefault(line["name"], {}).update(line)
    rows, failures = [], []
    for folder in folders:
        result = results.get(folder.name, {"error": "was not run"})
        values = {key: float(result.get(key, "inf")) for key in LIMITS}
        worst = [key for key, value in values.items() if not value <= LIMITS[key]]
        if worst:
            failures.append(f"{folder.name}: {result.get('error') or 'above the limit: ' + ', '.join(worst)}")
        cells = [f"{value:.0e}" if value != float("inf") else "-" for value in values.values()]
        arch, exporter = folder.name.rsplit("-", 1)
        loads = "yes" if "logits" in result else "no"
        rows.append(f"| {arch} | {exporter} | {loads} | " + " | ".join(cells) + " |")
    unfrozen = {arch: ", ".join(f"`{name}`" for name in names) for arch, _, names in families()}
    names = oracle.versions("torch", "torchvision", "onnx", "onnxscript", "onnxruntime")
    print(f"""# Families

torchvision's classifiers with {CLASSES} classes and seeded random weights, exported by both of PyTorch's exporters with
batch norm folded. The head is unfrozen alone, then head and last block are and take {STEPS} steps of SGD. Written by

    python scripts/families.py make --out DIR
    python scripts/families.py run --oracles DIR > docs/families.md

on {time.strftime('%Y-%m-%d')} with {", ".join(f"{name} {version}" for name, version in names.items())}.

{len(rows) - len(failures)} of {len(rows)} are within the limits: {", ".join(f"{key} {limit:.0e}" for key, limit in LIMITS.items())}.
Logits, the head's gradients, losses, gradients of the first step and final weights are compared with PyTorch's, the
largest difference relative to the largest value of the tensor. *Export* is ONNX Runtime's logits of the exported model
against finetune's after training; the model has passed `onnx.checker.check_model(full_check=True)`, and `finetune diff`
finds no tensor changed but unfrozen ones.

| family | exporter | loads | logits | head | losses | gradients | weights | export |
|---|---|---|---|---|---|---|---|---|""")
    print("\n".join(rows))
    if failures:
        print("\nOutside the limits:\n\n" + "\n".join(f"- {failure}" for failure in failures))
    print("\n| family | unfrozen |\n|---|---|")
    print("\n".join(f"| {arch} | {names} |" for arch, names in unfrozen.items()))
    if a.report is None:
        shutil.rmtree(out)
    return 1 if failures or not rows else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make", help="export the models and store PyTorch's answers")
    command.add_argument("--out", type=pathlib.Path, required=True)
    command.add_argument("--only", default="", help="architectures, comma-separated")
    command.set_defaults(action=make)
    command = commands.add_parser("run", help="compare finetune with the stored answers")
    command.add_argument("--oracles", type=pathlib.Path, required=True)
    command.add_argument("--only", default="", help="architectures to run now, comma-separated")
    command.add_argument("--report", type=pathlib.Path, help="folder that keeps what was found, for a run in parts")
    command.add_argument(
        "--test",
        default="swift test -c release -Xswiftc -enable-testing --scratch-path .build/test --filter OracleTests",
        help="the command that runs the oracle tests",
    )
    command.set_defaults(action=run)
    a = parser.parse_args()
    return a.action(a)


if __name__ == "__main__":
    sys.exit(main())

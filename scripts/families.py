#!/usr/bin/env python3
"""Runs torchvision's families of classifiers, from both of PyTorch's exporters, through finetune and prints a table.

    pip install -r scripts/requirements.txt
    python scripts/families.py make --out DIR [--only resnet18,alexnet]
    python scripts/families.py run --oracles DIR

`make` exports every architecture of Tests/families.txt as a plain user does (batch norm folded by the exporter, names
possibly lost) with seeded random weights, and stores PyTorch's answers beside it: DIR/ARCH-EXPORTER, format in
oracle.py, with final values of the trained tensors only. `run` starts the
package's oracle test with FINETUNE_ORACLES=DIR and FINETUNE_ORACLES_REPORT=OUT. For every folder of DIR the test
appends one line of JSON to OUT/report.jsonl, either errors relative to the largest value or where it stopped,

    {"name": "resnet18-dynamo", "logits": 3e-07, "gradients": 2e-06, "weights": 1e-07}
    {"name": "resnet18-torchscript", "error": "the message"}

and leaves the trained model as OUT/NAME.onnx, which is then checked here: ONNX's checker, ONNX Runtime's logits against
PyTorch's, and that no tensor but the unfrozen ones differs from the model that was read.
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
LIMITS = {"logits": 1e-4, "gradients": 1e-3, "weights": 1e-4, "export": 1e-4}


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
    """Names of initializers of `before` that `after` lacks or holds with other bytes."""
    import onnx
    from onnx import numpy_helper

    models = onnx.load(before), onnx.load(after)
    old, new = ({t.name: numpy_helper.to_array(t).tobytes() for t in model.graph.initializer} for model in models)
    return {name for name in old if old[name] != new.get(name)}


def export_error(folder: pathlib.Path, exported: pathlib.Path) -> float:
    """ONNX Runtime's logits of the exported model against PyTorch's after training; raises if anything else is off."""
    import onnx
    from safetensors import safe_open

    import oracle

    onnx.checker.check_model(str(exported), full_check=True)
    with safe_open(folder / "oracle.safetensors", "numpy") as answers:
        trained = {key.removeprefix("final/") for key in answers.keys() if key.startswith("final/")}
        pictures, expected = answers.get_tensor("input")[0], answers.get_tensor("logits_final")
    if extra := changed_tensors(folder / "model.onnx", exported) - trained:
        raise ValueError(f"frozen tensors changed: {sorted(extra)}")
    got = oracle.runtime_logits(exported, pictures)
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def run(a: argparse.Namespace) -> int:
    import oracle

    folders = sorted(path.parent for path in a.oracles.resolve().glob("*/oracle.safetensors"))
    out = pathlib.Path(tempfile.mkdtemp(prefix="finetune-families-"))
    environment = os.environ | {"FINETUNE_ORACLES": str(a.oracles.resolve()), "FINETUNE_ORACLES_REPORT": str(out)}
    subprocess.run(a.test.split(), cwd=ROOT, env=environment, stdout=sys.stderr)
    report = out / "report.jsonl"
    lines = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    results = {line["name"]: {k: float(v) if k in LIMITS else v for k, v in line.items()} for line in lines}
    rows, failures = [], []
    for folder in folders:
        result = results.get(folder.name, {"error": "the test did not report it"})
        if "error" not in result:
            try:
                result["export"] = export_error(folder, out / f"{folder.name}.onnx")
            except Exception as error:
                result["error"] = f"export: {error}"
        worst = [key for key in LIMITS if not result.get(key, float("inf")) <= LIMITS[key]]
        if worst:
            failures.append(f"{folder.name}: {result.get('error') or 'above the limit: ' + ', '.join(worst)}")
        cells = [f"{result[key]:.0e}" if key in result else "-" for key in LIMITS]
        arch, exporter = folder.name.rsplit("-", 1)
        rows.append(f"| {arch} | {exporter} | {'no' if worst else 'yes'} | " + " | ".join(cells) + " |")
    names = oracle.versions("torch", "torchvision", "onnx", "onnxscript", "onnxruntime")
    print(f"{time.strftime('%Y-%m-%d')}; " + ", ".join(f"{name} {version}" for name, version in names.items()))
    print(f"\n{len(rows) - len(failures)} of {len(rows)} within the limits: "
          + ", ".join(f"{key} {limit:.0e}" for key, limit in LIMITS.items()) + "\n")
    print("| family | exporter | passes | logits | gradients | weights after 3 steps | exported, ONNX Runtime |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    if failures:
        print("\n" + "\n".join(f"- {failure}" for failure in failures))
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
    command.add_argument(
        "--test", default="swift test -c release -Xswiftc -enable-testing --filter OracleFolderTests",
        help="the command that runs the oracle test",
    )
    command.set_defaults(action=run)
    a = parser.parse_args()
    return a.action(a)


if __name__ == "__main__":
    sys.exit(main())

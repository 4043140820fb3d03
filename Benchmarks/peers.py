#!/usr/bin/env python3
"""Times finetune beside PyTorch and ONNX Runtime on ResNet-18, in turn, and writes docs/benchmarks.md.

    pip install -r scripts/requirements.txt
    Benchmarks/peers.py [--rounds 3] [--batch 32 4] [--task forward fc layer4 full] [--program .build/release/finetune]

Every round runs ours, then the peer, each in a process of its own, so that a drift of the machine's speed meets both. Random
weights and pictures: speed does not depend on them. Forward and fc use the model as PyTorch exports it, batch norms folded; layer4
and full use one that kept them, unfrozen ones in training mode on both sides. PyTorch runs in both memory formats; the faster counts.
"""
import argparse
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib import metadata

root = pathlib.Path(__file__).resolve().parent.parent
folder = root / ".build/benchmarks"
SIZE = 224
TASKS = {
    # What is unfrozen in PyTorch and in finetune, and whether the file keeps its batch norms.
    "forward": ((), None, False),
    "fc": (("fc.",), "fc", False),
    "layer4": (("layer4.", "fc."), "layer4,fc", True),
    "full": (("",), "all", True),
}


def make_models() -> None:
    import torch
    import torchvision

    folder.mkdir(parents=True, exist_ok=True)
    batch = torch.randn(2, 3, SIZE, SIZE)
    for keeps_norms in (False, True):
        path = model_path(keeps_norms)
        if path.exists():
            continue
        torch.manual_seed(0)
        model = torchvision.models.resnet18(weights=None).eval()
        mode = torch.onnx.TrainingMode.PRESERVE if keeps_norms else torch.onnx.TrainingMode.EVAL
        torch.onnx.export(
            model, (batch,), str(path), dynamo=False, opset_version=17, input_names=["input"], output_names=["logits"],
            dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, training=mode, do_constant_folding=not keeps_norms)


def model_path(keeps_norms: bool) -> pathlib.Path:
    return folder / ("resnet18-norms.onnx" if keeps_norms else "resnet18.onnx")


def fastest(step, batch: int, repeats: int) -> float:
    """Milliseconds per picture of the fastest of some calls."""
    for _ in range(3):
        step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3 / batch


def time_torch(task: str, batch: int, repeats: int) -> float:
    import torch
    import torchvision

    torch.set_num_threads(os.cpu_count() or 1)
    unfrozen = TASKS[task][0]
    results = []
    for layout in (torch.channels_last, torch.contiguous_format):
        torch.manual_seed(0)
        model = torchvision.models.resnet18(weights=None).to(memory_format=layout)
        pictures = torch.randn(batch, 3, SIZE, SIZE).contiguous(memory_format=layout)
        labels = torch.randint(0, 1000, (batch,))
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith(unfrozen) if unfrozen else False
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if trainable:
            model.train()
            optimizer = torch.optim.SGD(trainable, lr=1e-3, momentum=0.9)

            def step():
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(pictures), labels).backward()
                optimizer.step()

        else:
            model.eval()

            def step():
                with torch.no_grad():
                    model(pictures)

        results.append(fastest(step, batch, repeats))
    return min(results)


def time_onnxruntime(batch: int, repeats: int) -> float:
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(str(model_path(False)), options, providers=["CPUExecutionProvider"])
    pictures = numpy.random.default_rng(0).standard_normal((batch, 3, SIZE, SIZE), dtype=numpy.float32)
    return fastest(lambda: session.run(None, {"input": pictures}), batch, repeats)


def worker(peer: str, task: str, batch: int, repeats: int) -> None:
    if peer == "models":
        make_models()
        return
    took = time_torch(task, batch, repeats) if peer == "torch" else time_onnxruntime(batch, repeats)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms_per_image_min": took, "peak_rss_mb": memory}))


def last_line(command: list[str]) -> dict:
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def compare(program: pathlib.Path, task: str, batch: int, rounds: int, repeats: int) -> list[dict]:
    unfreeze, keeps_norms = TASKS[task][1], TASKS[task][2]
    ours = [str(program), "bench", "--model", str(model_path(keeps_norms)), "--batch-size", str(batch), "--json"]
    ours += ["--unfreeze", unfreeze] if unfreeze else ["--task", "eval"]
    rows = []
    for peer in ("onnxruntime", "torch") if task == "forward" else ("torch",):
        theirs = [sys.executable, __file__, "--worker", peer, task, str(batch), str(repeats)]
        pairs = [(last_line(ours), last_line(theirs)) for _ in range(rounds)]
        ratios = [a["ms_per_image_min"] / b["ms_per_image_min"] for a, b in pairs]
        row = {
            "task": task, "batch": batch, "peer": {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}[peer],
            "ours": min(a["ms_per_image_min"] for a, _ in pairs),
            "theirs": min(b["ms_per_image_min"] for _, b in pairs),
            "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
            "memory": min(a["peak_rss_mb"] for a, _ in pairs), "their_memory": min(b["peak_rss_mb"] for _, b in pairs),
        }
        rows.append(row)
        print(
            f"{task} {batch} beside {row['peer']}: {row['ours']:.2f} and {row['theirs']:.2f} ms per picture, ratio "
            f"{row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f}), {row['memory']:.0f} and "
            f"{row['their_memory']:.0f} MB", flush=True)
    return rows


def plot(rows: list[dict]) -> str:
    """Horizontal bars of the ratios, the peer's 1.0 as a line."""
    scale, left, height = 300, 250, 26
    width = left + int(scale * max(1.3, max(row["ratio"] for row in rows) + 0.2))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height * len(rows) + 40}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        "<style>text{fill:#444}line{stroke:#888}rect{fill:#3b78c3}"
        "@media(prefers-color-scheme:dark){text{fill:#ccc}rect{fill:#6ea3e8}}</style>",
    ]
    for index, row in enumerate(rows):
        y = index * height + 8
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{row["task"]}, batch {row["batch"]}, '
            f'{row["peer"]}</text><rect x="{left}" y="{y}" width="{row["ratio"] * scale:.0f}" height="18" rx="2"/>'
            f'<text x="{left + row["ratio"] * scale + 6:.0f}" y="{y + 14}">{row["ratio"]:.2f}</text>')
    bottom = height * len(rows) + 8
    parts.append(f'<line x1="{left + scale}" y1="0" x2="{left + scale}" y2="{bottom}" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{left + scale}" y="{bottom + 18}" text-anchor="middle">1 = the peer</text></svg>')
    return "\n".join(parts) + "\n"


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def write(rows: list[dict], rounds: int, program: pathlib.Path) -> None:
    version = subprocess.run([program, "--version"], text=True, stdout=subprocess.PIPE).stdout.strip().splitlines()[0]
    table = [
        "| step | batch | beside | ours, ms per picture | theirs | ratio | least to most | ours, MB | theirs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        table.append(
            f"| {row['task']} | {row['batch']} | {row['peer']} | {row['ours']:.2f} | {row['theirs']:.2f} | "
            f"**{row['ratio']:.2f}** | {row['least']:.2f} to {row['most']:.2f} | {row['memory']:.0f} | "
            f"{row['their_memory']:.0f} |")
    text = f"""# Benchmarks

ResNet-18 at 224 x 224 in float32: a forward pass, and training steps with only `fc`, with `layer4` and `fc`, and with everything
unfrozen. Ours and the peer take turns, {rounds} rounds, a process each. Times are the fastest call of all rounds, the ratio is the
median over the rounds (below 1, finetune is faster), memory is the peak of the process.

{chr(10).join(table)}

![Ratios](images/benchmarks.svg)

Measured {time.strftime('%Y-%m-%d')} on {os.cpu_count()} cores of an {processor()} with {version}, PyTorch {metadata.version('torch')} and ONNX
Runtime {metadata.version('onnxruntime')}. `make bench` repeats it. What makes the difference is in [performance](performance.md).
"""
    (root / "docs/benchmarks.md").write_text(text)
    (root / "docs/images/benchmarks.svg").write_text(plot(rows))


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 4])
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--program", type=pathlib.Path, default=root / ".build/release/finetune")
    parser.add_argument("--no-write", action="store_true", help="print only")
    a = parser.parse_args()
    # In a process of its own: a child's peak memory begins at that of the process that started it.
    subprocess.run([sys.executable, __file__, "--worker", "models", "", "0", "0"], check=True)
    rows = [row for batch in a.batch for task in a.task for row in compare(a.program, task, batch, a.rounds, a.repeats)]
    if not a.no_write:
        write(rows, a.rounds, a.program)


if __name__ == "__main__":
    main()

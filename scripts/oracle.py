"""What the scripts that write oracles share: export to ONNX, PyTorch's answers for a training run, the file format.

An oracle is a folder with `model.onnx` and `oracle.safetensors`. The latter holds, float32 unless said otherwise:

    input        [steps, N, C, H, W]   one batch per step
    labels       [steps, N]            int64
    loss         [steps]               cross-entropy of each step, SGD, no shuffling
    logits_eval  [N, classes]          eval mode, first batch, before training
    logits_final [N, classes]          eval mode, first batch, after training
    grad/NAME                          gradient of the first step's loss, every unfrozen parameter
    final/NAME                         every parameter and buffer after the last step

and in its metadata the settings of the run (`unfreeze`: dotted prefixes, comma-separated; `lr`, `momentum`,
`weight_decay`; `bn_mode`: eval or train) and the versions of the libraries that computed it.
"""

import json
import pathlib
import platform
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of `packages`, without local build tags such as `+cpu`."""
    return {"python": platform.python_version()} | {name: version(name).split("+")[0] for name in packages}


def matches(name: str, patterns: list[str]) -> bool:
    """True if a pattern is `all`, the name itself or a dotted prefix of it."""
    return any(pattern in ("all", name) or name.startswith(pattern + ".") for pattern in patterns)


def randomise_batch_norm(model: nn.Module) -> nn.Module:
    """Gives batch norm statistics and weights that a mistake in using them would show."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
    return model


def randomise_zeros(model: nn.Module) -> nn.Module:
    """Fills parameters that start at zero, which exporters drop or merge and which hide mistakes."""
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return model


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """The eval-mode model with every batch norm folded into the convolution before it; module names stay."""
    from torch.fx.experimental.optimization import fuse

    return fuse(model.eval())


def export(
    model: nn.Module, path: pathlib.Path, example: torch.Tensor, exporter: str, keep_batch_norm: bool = False
) -> None:
    """Writes `model` as `path` with a symbolic batch; `exporter` is `dynamo` or `torchscript`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {"input_names": ["input"], "output_names": ["logits"]}
    if exporter == "dynamo":
        torch.onnx.export(
            model, (example,), str(path), dynamo=True, external_data=False, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("N")},), **names,
        )
    else:
        mode = torch.onnx.TrainingMode
        torch.onnx.export(
            model, (example,), str(path), dynamo=False, opset_version=17,
            dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
            training=mode.PRESERVE if keep_batch_norm else mode.EVAL, do_constant_folding=not keep_batch_norm, **names,
        )
    remove_stack_traces(path)


def remove_stack_traces(path: pathlib.Path) -> None:
    """Drops the exporter's source locations, which name folders of the machine that ran it; the scopes stay."""
    model = onnx.load(path)
    graph = model.graph
    for holder in [graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        kept = [entry for entry in holder.metadata_props if not entry.key.endswith("stack_trace")]
        del holder.metadata_props[:]
        holder.metadata_props.extend(kept)
    for node in graph.node:
        node.ClearField("doc_string")
    onnx.save(model, path)


def training_run(
    model: nn.Module, unfreeze: list[str], batches: np.ndarray, labels: np.ndarray, *, lr: float = 1e-2,
    momentum: float = 0.9, weight_decay: float = 0.0, batch_statistics: bool = False,
) -> dict[str, np.ndarray]:
    """PyTorch's answers for SGD over `batches` with only the parameters that match `unfreeze` trained."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = matches(name, unfreeze)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trainable:
        raise SystemExit(f"{unfreeze} matches none of {[name for name, _ in model.named_parameters()]}")
    answers = {"input": batches, "labels": labels, "logits_eval": logits(model, batches[0])}
    optimizer = torch.optim.SGD(trainable.values(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    losses = []
    for step, (x, y) in enumerate(zip(batches, labels)):
        model.train(batch_statistics)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        if step == 0:
            answers |= {f"grad/{name}": p.grad.numpy().copy() for name, p in trainable.items()}
        optimizer.step()
        losses.append(loss.item())
    answers["loss"] = np.array(losses, dtype=np.float32)
    answers |= {f"final/{name}": value.numpy().copy() for name, value in model.state_dict().items()}
    answers["logits_final"] = logits(model, batches[0])
    return answers


def as_stored(
    path: pathlib.Path, start: dict[str, np.ndarray], answers: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The answers with tensors named and laid out as the file stores them, and the names that changed.

    `start` holds PyTorch's tensors at the time of export, by which those of the file are found; an exporter may have
    renamed or transposed them. A tensor merged into that of another layer keeps PyTorch's name.
    """
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}

    def same(a: np.ndarray, b: np.ndarray) -> bool:
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6)

    answers, names = dict(answers), {}
    for name in [key.removeprefix("final/") for key in answers if key.startswith("final/")]:
        value = start[name]
        if name.endswith("num_batches_tracked") or name in stored and same(stored[name], value):
            continue
        plain = [n for n, tensor in stored.items() if same(tensor, value)]
        if any(n in start for n in plain):
            continue
        turned = [n for n, tensor in stored.items() if value.ndim == 2 and same(tensor, value.T)]
        if len(plain) + len(turned) != 1:
            raise SystemExit(f"{path}: {name} {value.shape} is stored as {plain + turned}")
        names[name] = (plain + turned)[0]
        for kind in ("grad", "final"):
            if f"{kind}/{name}" in answers:
                moved = answers.pop(f"{kind}/{name}")
                answers[f"{kind}/{names[name]}"] = moved if plain else moved.T
    return answers, names


def logits(model: nn.Module, x: np.ndarray) -> np.ndarray:
    """Eval-mode output for one batch."""
    with torch.no_grad():
        return model.eval()(torch.from_numpy(x)).numpy()


def runtime_logits(path: pathlib.Path, x: np.ndarray) -> np.ndarray:
    """ONNX Runtime's first output for one batch, without graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def save(path: pathlib.Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Writes a safetensors file, keys sorted, so that equal contents give equal bytes (the library's order varies)."""
    codes = {"float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64", "bool": "BOOL"}
    header, blobs, offset = {"__metadata__": dict(sorted(metadata.items()))}, [], 0
    for name in sorted(tensors):
        value = np.ascontiguousarray(tensors[name])
        end = offset + value.nbytes
        shape = list(np.shape(tensors[name]))
        header[name] = {"dtype": codes[value.dtype.name], "shape": shape, "data_offsets": [offset, end]}
        blobs.append(value.tobytes())
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))

#!/usr/bin/env python3
"""Writes small classifiers whose values are not all one row a picture, for the tests of the cut: Tests/Fixtures/cuts/NAME.onnx.

    pip install -r scripts/requirements.txt
    python scripts/make_cut_models.py

Each does something around the batch that exporters write in their own way: sizes read from shapes, windows, tokens in
sequence-first order, a class token, gates, group norm, means kept as indices, batch norms in training mode, a batch of one
written into the file, several heads and outputs. `-ts` is PyTorch's TorchScript exporter, `-dynamo` the newer one.
"""

import pathlib
import warnings

import torch
from torch import nn
from torch.nn import functional

OUT = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Fixtures" / "cuts"
CLASSES, SIZE, WIDTH = 3, 16, 8


def patches(width: int = WIDTH) -> nn.Module:
    return nn.Conv2d(3, width, 4, 4)


class View(nn.Module):
    """The batch size read before a layer, used behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = patches(), nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.fc = nn.Linear(WIDTH * 16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.size(0)
        return self.fc(functional.relu(self.conv2(functional.relu(self.conv1(x)))).view(n, -1))


class Excite(nn.Module):
    """Squeeze and excite with sizes of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = patches(), nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
        self.gate, self.fc = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv1(x))
        n, c, _, _ = x.size()
        g = torch.sigmoid(self.gate(x.mean((2, 3)))).view(n, c, 1, 1)
        return self.fc(self.conv2(x * g.expand_as(x)).mean((2, 3)))


class Windows(nn.Module):
    """Windows of patches, four to a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = patches(), nn.LayerNorm(WIDTH)
        self.lin, self.fc = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.table = nn.Parameter(torch.randn(7, 1))
        self.register_buffer("places", (torch.arange(4)[:, None] - torch.arange(4)[None] + 3).flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        x = x.view(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        x = self.norm(x)
        a = x @ x.transpose(1, 2) + self.table[self.places].view(4, 4)
        x = functional.gelu(self.lin(a.softmax(-1) @ x))
        return self.fc(x.view(n, -1, c).mean(1))


class Tokens(nn.Module):
    """A transformer with a class token and positions; its attention is sequence-first inside."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.patches = patches()
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, 17, WIDTH))
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first)
        self.batch_first = batch_first
        self.mlp, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        y = self.norm(x)
        if not self.batch_first:
            y = y.transpose(0, 1)
        y = self.attention(y, y, y, need_weights=False)[0]
        if not self.batch_first:
            y = y.transpose(0, 1)
        x = x + y
        return self.head(functional.gelu(self.mlp(x))[:, 0])


class Groups(nn.Module):
    """Group norm, and a mean that keeps its axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = patches(), nn.GroupNorm(2, WIDTH)
        self.conv2, self.fc = nn.Conv2d(WIDTH, WIDTH, 1), nn.Linear(WIDTH, CLASSES)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.conv(x)))
        x = x + self.conv2(x.mean((2, 3), keepdim=True))
        return self.fc(x.mean((-2, -1), keepdim=True).flatten(1))


class Norms(nn.Module):
    """Batch norm and dropout, exported in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = patches(), nn.BatchNorm2d(WIDTH), nn.Dropout(0.5)
        self.fc = nn.Linear(WIDTH, CLASSES)
        nn.init.normal_(self.bn.running_mean, std=0.2)
        nn.init.uniform_(self.bn.running_var, 0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.drop(functional.relu(self.bn(self.conv(x))).mean((2, 3))))


class Heads(nn.Module):
    """Two heads, averaged, or one beside an auxiliary output or the features."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.conv, self.lin = patches(), nn.Linear(WIDTH, WIDTH)
        self.head, self.other = nn.Linear(WIDTH, CLASSES), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor):
        x = functional.relu(self.conv(x)).mean((2, 3))
        y = functional.relu(self.lin(x))
        if self.form == "sum":
            return (self.head(y) + self.other(x)) / 2
        return (self.head(y), self.other(x)) if self.form == "aux" else (y, self.head(y))


def export(name: str, model: nn.Module, exporter: str, batch: bool = True, outputs=("logits",), training=False) -> None:
    torch.manual_seed(0)
    path, x = OUT / f"{name}-{exporter}.onnx", torch.randn(1 if not batch else 2, 3, SIZE, SIZE)
    if not training:
        model.eval()
    if exporter == "dynamo":
        shapes = ({0: torch.export.Dim("N")},) if batch else None
        torch.onnx.export(
            model, (x,), str(path), dynamo=True, external_data=False, verbose=False, dynamic_shapes=shapes,
            input_names=["input"], output_names=list(outputs))
    else:
        axes = {"input": {0: "N"}} | {output: {0: "N"} for output in outputs} if batch else None
        mode = torch.onnx.TrainingMode
        torch.onnx.export(
            model, (x,), str(path), dynamo=False, opset_version=17, dynamic_axes=axes, input_names=["input"],
            output_names=list(outputs), training=mode.TRAINING if training else mode.EVAL)
    # Where in a Python file a node came from would change with this file.
    import onnx

    model = onnx.load(str(path))
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    onnx.save(model, str(path))


def main() -> None:
    warnings.filterwarnings("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for exporter in ("ts", "dynamo"):
        export("view", View(), exporter)
        export("excite", Excite(), exporter)
        export("windows", Windows(), exporter)
        export("tokens", Tokens(), exporter)
        export("tokens-batch-of-one", Tokens(), exporter, batch=False)
        export("windows-batch-of-one", Windows(), exporter, batch=False)
        export("groups", Groups(), exporter)
        export("groups-batch-of-one", Groups(), exporter, batch=False)
    export("tokens-first", Tokens(batch_first=False), "ts")
    export("norms-in-training", Norms(), "ts", training=True)
    export("heads-summed", Heads("sum"), "ts")
    export("auxiliary-output", Heads("aux"), "ts", outputs=("logits", "aux"))
    export("features-first", Heads("features"), "ts", outputs=("features", "logits"))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures PyTorch at kinks, +-0, +-inf, NaN and nothing: Tests/Fixtures/autograd/special.{json,safetensors}.

    pip install -r scripts/requirements.txt
    python scripts/make_special_values.py

The text FORMAT below travels in the JSON file. Measured with PyTorch 2.15 on a CPU, one thread.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

FORMAT = """
cases[i] = {name, function, inputs, differentiable, fails}
  function         the Swift test's name for it
  inputs           how many
  differentiable   those with gradients
  fails            true where PyTorch raises an error; then there are no results
  second           false where PyTorch has no second derivative
Tensors in special.safetensors: NAME/input/I   NAME/value   NAME/grad/I   NAME/second/I
value = function(inputs); grad/I is the gradient of sum(value); second/I that of the sum of all gradients (zeros where they
are constant). NAME ends in f32 or f64.
"""

INF, NAN = float("inf"), float("nan")
SPECIAL = [-INF, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, INF, NAN]


UNARY = {
    "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal, "square": torch.square, "tanh": torch.tanh,
    "sigmoid": torch.sigmoid, "relu": torch.relu, "erf": torch.erf, "ceil": torch.ceil, "floor": torch.floor,
    "round": torch.round, "softplus": F.softplus, "sin": torch.sin, "cos": torch.cos, "silu": F.silu, "mish": F.mish,
    "elu": F.elu, "elu(2)": lambda x: F.elu(x, 2.0), "selu": F.selu, "celu": F.celu, "celu(2)": lambda x: F.celu(x, 2.0),
    "gelu": F.gelu, "gelu(tanh)": lambda x: F.gelu(x, approximate="tanh"), "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish, "leakyRelu": F.leaky_relu, "leakyRelu(-1)": lambda x: F.leaky_relu(x, -1.0),
    "softsign": F.softsign,
    "relu6": F.relu6, "hardtanh": F.hardtanh, "clamp(-1,1)": lambda x: torch.clamp(x, -1, 1),
    "clamp(min)": lambda x: torch.clamp(x, min=0.5), "clamp(max)": lambda x: torch.clamp(x, max=0.5),
    "clamp(1,-1)": lambda x: torch.clamp(x, 1, -1),
    "pow(0)": lambda x: x**0, "pow(1)": lambda x: x**1, "pow(2)": lambda x: x**2, "pow(3)": lambda x: x**3,
    "pow(4)": lambda x: x**4, "pow(0.5)": lambda x: x**0.5, "pow(-0.5)": lambda x: x**-0.5, "pow(-1)": lambda x: x**-1,
    "pow(-2)": lambda x: x**-2, "pow(2.5)": lambda x: x**2.5, "pow(1.5)": lambda x: x**1.5,
    "2**x": lambda x: 2**x, "0**x": lambda x: 0**x, "1**x": lambda x: 1**x, "0.5**x": lambda x: 0.5**x,
    "1-x": lambda x: 1 - x, "1/x": lambda x: 1 / x, "x/0": lambda x: x / 0.0, "x*0": lambda x: x * 0.0,
    "x/inf": lambda x: x / INF, "x%1": lambda x: x % 1.0,
    "maximum(0)": lambda x: torch.maximum(x, torch.zeros((), dtype=x.dtype)),
    "maskedFill": lambda x: x.masked_fill(torch.isnan(x), 2.0),
    "where": lambda x: torch.where(x > 0, x.sqrt(), x * 2),
    "nanWhere": lambda x: torch.where(x > 0, x.log(), torch.zeros((), dtype=x.dtype)),
    "detached": lambda x: x * x.detach(),
    "softmaxAll": lambda x: F.softmax(x, 0), "cumsum": lambda x: torch.cumsum(x, 0),
    "triu": lambda x: x[:9].reshape(3, 3).triu(), "tril": lambda x: x[2:].reshape(3, 3).tril(-1),
    "flip": lambda x: x.flip(0), "roll": lambda x: x.roll(2, 0), "to(float64)": lambda x: x.double(),
    "to(float32)": lambda x: x.float(),
}
KINKS = {
    "relu6": [0.0, -0.0, 6.0, 5.5, 6.5], "hardtanh": [-1.0, 1.0], "hardsigmoid": [-3.0, 3.0, 2.5, -2.5, 4.0],
    "hardswish": [-3.0, 3.0, -2.5, 2.5, 4.0, -4.0], "round": [1.5, 2.5, -0.5], "softplus": [20.0, 20.5, 30.0, -30.0, 100.0],
    "sigmoid": [100.0, -100.0, 20.0, -20.0], "tanh": [20.0, -20.0], "exp": [100.0, -200.0, 1000.0], "silu": [100.0, -100.0, 1000.0, -1000.0],
    "mish": [30.0, -30.0, 100.0, -100.0], "gelu": [10.0, -10.0, 30.0], "gelu(tanh)": [10.0, -10.0, 30.0], "erf": [10.0, -10.0],
    "elu": [100.0, -100.0], "selu": [100.0, -100.0], "celu": [100.0, -100.0],
    "pow(2)": [1e30, -1e30, 1e-30], "sqrt": [1e-30, 1e30], "log": [1e-30, 1e30], "rsqrt": [1e-30, 1e30], "square": [1e30],
}

BINARY = {
    "+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div, "**": torch.pow, "maximum": torch.maximum,
    "minimum": torch.minimum, "logaddexp": torch.logaddexp, "mseLoss(none)": lambda a, b: F.mse_loss(a, b, reduction="none"),
    "l1Loss(none)": lambda a, b: F.l1_loss(a, b, reduction="none"),
    "smoothL1Loss(none)": lambda a, b: F.smooth_l1_loss(a, b, reduction="none"),
    "smoothL1Loss(2)": lambda a, b: F.smooth_l1_loss(a, b, reduction="none", beta=2.0),
    "huberLoss(0.5)": lambda a, b: F.huber_loss(a, b, reduction="none", delta=0.5),
    "prelu": lambda a, b: F.prelu(a.reshape(1, -1), b),
}
ONE_SIDED = {
    "bceWithLogits": lambda a, b: F.binary_cross_entropy_with_logits(a, b, reduction="none"),
    "bce": lambda a, b: F.binary_cross_entropy(a, b, reduction="none"),
    "klDiv": lambda a, b: F.kl_div(a, b, reduction="none"),
}

ROWS = [
    [2.0], [0.0], [-0.0], [1.0, 1.0, 1.0], [0.0, 0.0], [-0.0, 0.0], [0.0, 3.0, 4.0], [0.0, 2.0, 0.0], [3.0, 1.0, 3.0, -2.0],
    [NAN, 1.0, 2.0], [1.0, NAN, 2.0, NAN], [NAN], [INF, 1.0], [-INF, 1.0], [INF, INF], [-INF, -INF], [INF, -INF, 0.0],
    [NAN, INF, -INF], [1e30, 1e30], [-5.0, -5.0], [100.0, -100.0, 0.0], [],
]


ROW = {
    "sum": lambda x: x.sum(), "mean": lambda x: x.mean(), "prod": lambda x: x.prod(), "prod(dim)": lambda x: x.prod(0),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=0), "var": lambda x: x.var(), "var(0)": lambda x: x.var(correction=0), "std": lambda x: x.std(),
    "std(0)": lambda x: x.std(correction=0), "max": lambda x: x.max(), "min": lambda x: x.min(), "amax": lambda x: x.amax(0),
    "amin": lambda x: x.amin(0), "max(dim)": lambda x: x.max(0).values, "min(dim)": lambda x: x.min(0).values,
    "logsumexp": lambda x: x.logsumexp(0), "softmax": lambda x: x.softmax(0) ** 2, "logSoftmax": lambda x: x.log_softmax(0) * 2,
    "topk": lambda x: x.topk(min(2, len(x))).values * torch.arange(1, min(2, len(x)) + 1),
    "topk(smallest)": lambda x: x.topk(min(2, len(x)), largest=False).values * torch.arange(1, min(2, len(x)) + 1),
    "sort": lambda x: x.sort(stable=True).values * torch.arange(1, len(x) + 1),
    "sort(descending)": lambda x: x.sort(stable=True, descending=True).values * torch.arange(1, len(x) + 1),
    "cumsum(dim)": lambda x: x.cumsum(0) ** 2,
    "layerNorm": lambda x: F.layer_norm(x.reshape(1, -1), (len(x),)) ** 2,
    "maxPool": lambda x: F.max_pool2d(F.pad(x, (0, 4 - len(x))).reshape(1, 1, 2, 2), 2),
    "cosineSimilarity": lambda x: F.cosine_similarity(x, torch.ones_like(x), dim=0),
    "crossEntropy": lambda x: F.cross_entropy(x, torch.tensor(0)),
    "triplet": lambda x: F.triplet_margin_loss(x.reshape(1, -1), torch.ones(1, len(x), dtype=x.dtype), torch.zeros(1, len(x), dtype=x.dtype)),
    "normalize": lambda x: F.normalize(x, dim=0),
}


def measure(function, inputs, differentiable):
    leaves = [x.clone().requires_grad_(i in differentiable) for i, x in enumerate(inputs)]
    value = function(*leaves)
    wanted = [leaves[i] for i in differentiable]
    zeros = lambda: [torch.zeros_like(x) for x in wanted]
    if not value.requires_grad:
        return value, zeros(), zeros()
    grads = torch.autograd.grad(value.sum(), wanted, create_graph=True, allow_unused=True)
    grads = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, wanted)]
    total = sum(g.sum() for g in grads)
    if not total.requires_grad:
        return value, grads, zeros()
    try:
        second = torch.autograd.grad(total, wanted, allow_unused=True)
    except RuntimeError:
        return value, grads, None
    return value, grads, [torch.zeros_like(x) if g is None else g for g, x in zip(second, wanted)]


def cases():
    for name, function in UNARY.items():
        yield name, function, [SPECIAL + KINKS.get(name, [])], [0]
        if name not in ("triu", "tril"):
            yield name, function, [[]], [0]
    pairs = [(a, b) for a in SPECIAL for b in SPECIAL]
    for name, function in BINARY.items():
        yield name, function, [[a for a, _ in pairs], [b for _, b in pairs]], [0, 1]
        yield name, function, [[], []], [0, 1]
    for name, function in ONE_SIDED.items():
        if name == "bce":
            logits = [0.0, 1e-30, 0.25, 0.5, 1.0]
        else:
            logits = SPECIAL + [100.0, -100.0]
        targets = [0.0, 0.25, 0.5, 1.0]
        yield name, function, [[a for a in logits for _ in targets], targets * len(logits)], [0]
        yield name, function, [[], []], [0]
    for name, function in ROW.items():
        for row in ROWS:
            if name in ("maxPool",) and (len(row) > 4 or not row) or name in ("crossEntropy", "triplet") and not row:
                continue
            yield name, function, [row], [0]


def main():
    torch.set_num_threads(1)
    documents, tensors = [], {}
    counts = {}
    for dtype, suffix in [(torch.float32, "f32"), (torch.float64, "f64")]:
        counts = {}
        for function, body, inputs, differentiable in cases():
            number = counts.get(function, 0)
            counts[function] = number + 1
            name = f"{function}/{number}/{suffix}"
            inputs = [torch.tensor(x, dtype=dtype) for x in inputs]
            document = {
                "name": name, "function": function, "inputs": len(inputs), "differentiable": differentiable, "fails": False,
                "second": False}
            for i, x in enumerate(inputs):
                tensors[f"{name}/input/{i}"] = x
            try:
                value, grads, second = measure(body, inputs, differentiable)
            except (RuntimeError, IndexError, ValueError) as error:
                document["fails"] = True
                document["error"] = str(error).splitlines()[0]
            else:
                tensors[f"{name}/value"] = value.detach().contiguous()
                document["second"] = second is not None
                for i, g in zip(differentiable, grads):
                    tensors[f"{name}/grad/{i}"] = g.detach().contiguous()
                for i, s in zip(differentiable, second or []):
                    tensors[f"{name}/second/{i}"] = s.detach().contiguous()
            documents.append(document)
    folder = pathlib.Path(__file__).parent.parent / "Tests/Fixtures/autograd"
    text = {"format": FORMAT.strip().splitlines(), "torch": torch.__version__.split("+")[0]}
    lines = ",\n".join("    " + json.dumps(d) for d in documents)
    header = json.dumps(text, indent=2)[:-2]
    (folder / "special.json").write_text(f'{header},\n  "cases": [\n{lines}\n  ]\n}}\n')
    save_file({k: v.clone() for k, v in tensors.items()}, folder / "special.safetensors")
    print(len(documents), "cases,", sum(v.numel() for v in tensors.values()), "numbers")


if __name__ == "__main__":
    main()

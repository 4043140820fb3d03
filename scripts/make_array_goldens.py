#!/usr/bin/env python3
"""Writes Tests/Fixtures/arrays: how PyTorch prints and pools arrays.

Arrays are stored as {"dtype", "shape", "data"}: the element type's name, the shape, base64 of the little-endian bytes.

    python scripts/make_array_goldens.py
"""

import base64
import json
import pathlib

import torch

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Fixtures" / "arrays"
VERSIONS = f"torch {torch.__version__}"


def stored(tensor):
    tensor = tensor.detach().contiguous()
    raw = tensor.reshape(-1).view(torch.uint8) if tensor.numel() else torch.empty(0, dtype=torch.uint8)
    data = base64.b64encode(bytes(raw.tolist())).decode()
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "data": data}


def write(name, cases):
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(json.dumps(case) for case in cases)
    header = json.dumps({"script": "scripts/make_array_goldens.py", "versions": VERSIONS})
    (FOLDER / f"{name}.json").write_text(f'{{"made": {header}, "cases": [\n{text}\n]}}\n')
    print(name, len(cases))


def printed_tensors(generator):
    def randn(*shape):
        return torch.randn(*shape, generator=generator)

    inf, nan = float("inf"), float("nan")
    for values in (
        [], [[]], 1.0, 1.5, -2.0, 0.0, -0.0, 1e-5, 1e9, 1e-4, 1e8, 1.1e8, nan, inf, [nan], [inf, -inf, nan], [0.0, 0.0],
        [1.0, 2.0, 3.0], [1.0, 1001.0], [1.0, 1000.0], [0.001, 1.0], [0.0011, 1.0], [0.5, nan, inf], [1.0, nan, -inf],
        [1e-4, 1e-4], [1e10, nan], [123456.0, 0.5], [99999.9999], [0.99999], [0.00009999], [1e-40], [3.4e38, 1.0],
        [-1.0, 0.5, 100.25], [[3.0, 4.0], [7.0, 5.0]], [[1.0], [-10.0]], [[[1.0]]], [2.0**24, 1.0], [1e8, 1e5],
    ):
        yield torch.tensor(values)
        yield torch.tensor(values, dtype=torch.float64)
    for dtype in (torch.float16, torch.bfloat16):
        yield torch.tensor([1.0, 2.5, -3.25]).to(dtype)
        yield torch.tensor([1e-3, 6e4]).to(dtype)
        yield randn(3, 4).to(dtype)
    for dtype in (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8):
        yield torch.tensor([[1, 20], [100, 7]], dtype=dtype)
        yield torch.tensor(5, dtype=dtype)
        yield torch.arange(1200).remainder(120).to(dtype)
    yield torch.tensor([-5, 100, -(2**63), 2**63 - 1])
    yield torch.tensor([True, False])
    yield torch.tensor([[True], [True]])
    yield torch.tensor(False)
    yield torch.ones(40, 40, dtype=torch.bool)
    for shape in ((5,), (30,), (3, 4), (2, 3, 4), (2, 2, 2, 2), (1, 30), (7, 1), (2, 0, 3), (25, 3), (2, 1, 1, 9)):
        for scale in (1.0, 1e-3, 1e3, 1e6, 1e-6):
            yield randn(*shape) * scale if torch.Size(shape).numel() else randn(*shape)
        yield (randn(*shape) * 10).round()
        yield (randn(*shape) * 1e5).round()
    for shape in ((1000,), (1001,), (40, 40), (3, 500), (500, 3), (6, 300), (7, 300), (10, 10, 11), (2, 3, 5, 50)):
        yield randn(*shape)
        yield (randn(*shape) * 100).round()
        yield (randn(*shape) * 1e4).to(torch.int64)
    big = torch.zeros(1500)
    big[700] = 1e9
    yield big


def printing(generator):
    prefix = "tensor("
    for tensor in printed_tensors(generator):
        for indent in (len(prefix), 0, 23):
            if indent != len(prefix) and tensor.numel() > 60:
                continue
            yield {"array": stored(tensor), "indent": indent, "text": torch._tensor_str._tensor_str(tensor, indent)}


def pooling(generator):
    def pick(*choices):
        return choices[int(torch.randint(len(choices), (), generator=generator))]

    functional = torch.nn.functional
    made = 0
    while made < 60:
        rank = pick(1, 2, 2, 2, 3)
        kernel = [pick(1, 2, 3) for _ in range(rank)]
        strides = [pick(1, 2, 3) for _ in range(rank)]
        pads = [pick(0, k // 2) for k in kernel]
        dilations = [pick(1, 1, 2) for _ in range(rank)]
        ceil_mode, include_pad = bool(pick(0, 1)), bool(pick(0, 1))
        x = torch.randn(1, 2, *[pick(4, 5, 6) for _ in range(rank)], generator=generator, dtype=torch.float64)
        # Ties and a NaN, where the choice of the maximum shows.
        if pick(0, 1):
            x = (x * 2).round()
        if pick(0, 0, 0, 1):
            x.view(-1)[5] = float("nan")
        dtype = pick(torch.float32, torch.float64)
        x = x.to(dtype).requires_grad_()
        maximum = getattr(functional, f"max_pool{rank}d")
        mean = getattr(functional, f"avg_pool{rank}d")
        try:
            y, indices = maximum(x, kernel, strides, pads, dilations, ceil_mode, return_indices=True)
            average = mean(x, kernel, strides, pads, ceil_mode, include_pad)
        except RuntimeError:
            continue
        g = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(dtype)
        average_g = torch.randn(average.shape, generator=generator, dtype=torch.float64).to(dtype)
        yield {
            "kernel": kernel, "strides": strides, "pads": pads, "dilations": dilations, "ceil_mode": ceil_mode,
            "count_include_pad": include_pad, "x": stored(x), "max": stored(y), "indices": stored(indices),
            "max_grad_output": stored(g), "max_grad": stored(torch.autograd.grad(y, x, g, retain_graph=True)[0]),
            "average": stored(average), "average_grad_output": stored(average_g),
            "average_grad": stored(torch.autograd.grad(average, x, average_g)[0]),
        }
        made += 1


def main():
    generator = torch.Generator().manual_seed(20)
    write("printing", list(printing(generator)))
    write("pooling", list(pooling(generator)))


if __name__ == "__main__":
    main()

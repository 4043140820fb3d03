#!/usr/bin/env python3
"""Writes random expression graphs with PyTorch's values and gradients.

Into Tests/Fixtures/autograd/programs.{json,safetensors}:

    pip install -r scripts/requirements.txt
    python scripts/make_autograd_goldens.py

A graph is kept only if every value stays in range, every comparison inside it (relu, max, clamp, ...) is decided by a
margin, and PyTorch's own float32 run agrees with its float64 run closely, so that a test may ask for 1e-5 and 1e-10.
The text FORMAT below travels in the JSON file.
"""

import argparse
import json
import math
import pathlib
import random
from collections import Counter

import torch

import oracle
from autograd_ops import BINARY, OTHER, REDUCTIONS, UNARY
from autograd_programs import Program

FORMAT = """
A program computes one scalar. Its values are numbered: first the inputs, then the result of each op in order.
programs[i] = {name, inputs: [{name, shape, grad}], ops: [{op, args, attrs}], watch, output, order}
  args    value numbers of the operands; attrs  the rest, absent when empty
  grad    whether the input requires a gradient
  watch   the value to compare as a tensor; output  the scalar (the last value)
  order   1, or 2 where Hessian-vector products are stored too
Tensors in programs.safetensors, I being the number of an input that requires a gradient:
  NAME/in/I     float32, for every input (convert to float64 for the float64 run)
  NAME/watch, NAME/value, NAME/grad/I          float64 run;   NAME/watch32, NAME/value32, NAME/grad32/I   float32 run
  order 2:  NAME/dir/I  float32;  with g_I = d output / d input_I (createGraph) and s = sum over I of sum(g_I * dir_I):
            NAME/hvp/I, NAME/hvp32/I = d s / d input_I, zeros where s does not depend on it
Compare per tensor: max |ours - golden| <= tolerance * max(1e-2, max |golden|), 1e-5 in float32, 1e-10 in float64.
Ops (dims may be negative; PyTorch's meaning throughout):
  add sub mul div pow        [a, b] with broadcasting, or [a] with attrs scalar, reverse (scalar on the left when true)
  matmul                     [a, b], batch dimensions broadcast
  neg exp log sqrt abs relu sigmoid tanh gelu          [a]; gelu is the exact one (erf)
  clamp                      [a] min, max (either may be absent)
  sum mean                   [a] dim: [ints] (absent: all dimensions, a scalar), keepdim
  max min                    [a] dim: int (absent: all), keepdim; the values only
  var                        [a] dim: [ints] (absent: all), keepdim, correction
  softmax logSoftmax         [a] dim
  reshape expand             [a] shape (reshape may hold one -1)
  transpose                  [a] dim0, dim1
  permute                    [a] dims
  unsqueeze squeeze          [a] dim
  slice                      [a] dim, start, end
  split                      [a] dim, size, index: piece number `index` of pieces of `size`
  cat stack                  [a, b, ...] dim
  linear                     [x, weight, bias?]
  conv2d                     [x, weight, bias?] stride, padding, dilation: [h, w]; groups
  maxPool2d                  [x] kernelSize, stride, padding: [h, w]
  avgPool2d                  [x] kernelSize, stride, padding: [h, w]; countIncludePad
  batchNorm                  [x, weight, bias, runningMean, runningVar] training, eps (statistics are not updated)
  crossEntropy               [logits] target: [ints], labelSmoothing; the mean
"""

def goldens(program: Program) -> dict[str, torch.Tensor] | None:
    """The program's tensors, or nil if they are out of range or float32 cannot hold them."""
    leaves = [i for i, g in enumerate(program.grad) if g]
    if not leaves:
        return None
    directions = {i: torch.randn(program.inputs[i].shape, generator=program.generator) for i in leaves}
    double, single = program.run(torch.float64, directions), program.run(torch.float32, directions)
    if not double:
        return None
    for name, value in double.items():
        largest = value.abs().max().item()
        if not math.isfinite(largest) or largest > 500:
            return None
        exact_zero = name.startswith("hvp") and largest == 0
        if not exact_zero and largest < 2e-2:
            return None
        if (single[name].double() - value).abs().max().item() > 1e-6 * max(1e-2, largest):
            return None
    if program.order == 2 and all(v.abs().max() == 0 for n, v in double.items() if n.startswith("hvp")):
        return None
    tensors = {f"in/{i}": x.float() for i, x in enumerate(program.inputs)} | double
    tensors |= {name.replace("/", "32/") if "/" in name else f"{name}32": value for name, value in single.items()}
    if program.order == 2:
        tensors |= {f"dir/{i}": d for i, d in directions.items()}
    return tensors


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=root / "Tests" / "Fixtures" / "autograd")
    parser.add_argument("--first-order", type=int, default=280)
    parser.add_argument("--second-order", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    torch.set_num_threads(1)
    programs, tensors, used, depths = [], {}, Counter(), Counter()
    rng = random.Random(a.seed)
    while len(programs) < a.first_order + a.second_order:
        order = 1 if len(programs) < a.first_order else 2
        target = 3 + len(programs) % 10
        program = Program(random.Random(rng.getrandbits(63)), order)
        if not program.grow(target):
            continue
        program.finish()
        found = goldens(program)
        if found is None:
            continue
        name = f"{'first' if order == 1 else 'second'}-{len(programs):03d}"
        inputs = [
            {"name": f"x{i}", "shape": list(x.shape), "grad": g}
            for i, (x, g) in enumerate(zip(program.inputs, program.grad))
        ]
        programs.append({
            "name": name, "inputs": inputs, "ops": [op.encoded() for op in program.ops], "watch": program.watch,
            "output": len(inputs) + len(program.ops) - 1, "order": order,
        })
        tensors |= {f"{name}/{key}": value.numpy() for key, value in found.items()}
        used.update(op.op for op in program.ops)
        depths[target] += 1
    versions = oracle.versions("torch", "numpy")
    head = {"format": FORMAT.strip().splitlines(), "script": "scripts/make_autograd_goldens.py", "versions": versions}
    lines = ",\n".join(json.dumps(p, separators=(",", ":")) for p in programs)
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / "programs.json").write_text(json.dumps(head, indent=1)[:-2] + ',\n "programs": [\n' + lines + "\n]}\n")
    oracle.save(a.out / "programs.safetensors", tensors, {"script": head["script"], **versions})
    missing = set(BINARY) | set(UNARY) | set(REDUCTIONS) | set(OTHER)
    print(f"{len(programs)} programs, depths {dict(sorted(depths.items()))}")
    print(f"ops used: {dict(used.most_common())}; never: {sorted(missing - set(used))}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes 50 steps of PyTorch's optimizers and schedules: Tests/Fixtures/optim/trajectories.{json,safetensors}.

    pip install -r scripts/requirements.txt
    python scripts/make_optimizer_goldens.py

The text FORMAT below travels in the JSON file.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
from torch.nn import functional

import oracle

FORMAT = """
The problem is softmax regression: logits = x weight^T + bias, the mean cross-entropy of five of the twenty rows of x;
step t (from 0) uses rows (5 t) mod 20 and the four after it. Every run starts from the same weight and bias.
runs[i] = {name, optimizer, groups, schedule, clip}
  optimizer  PyTorch's class in `type`, its arguments under PyTorch's names; arguments not given have PyTorch's defaults
  groups     parameter groups in order: {parameters: ["weight" | "bias"], arguments that differ from the optimizer's}
  schedule   null, or PyTorch's class in `type` and its arguments, stepped once after every optimizer step
             (warmupCosine: LinearLR over the first 10 steps, then CosineAnnealingLR, joined by SequentialLR)
  clip       null, or {maxNorm, normType (2 or "inf")}: clip_grad_norm_ over all parameters before each step
Tensors in trajectories.safetensors; G groups, the leading 50 (51) counts steps, row 0 of weight and bias is the start:
  x [20, 4] float32, y [20] int64
  NAME/weight [51, 3, 4]  NAME/bias [51, 3]  float64 run;  NAME/weight32, NAME/bias32 the same in float32
  NAME/gradWeight [50, 3, 4]  NAME/gradBias [50, 3]  gradients of the float64 run as backward left them, before clipping
  NAME/lr [50, G]  the rates each step used;  NAME/norm [50]  the norm that clipping measured (runs with clip)
  NAME/momentum [50, G]  momentum (SGD) or beta1 (Adam) each step used, for schedules that move it (OneCycleLR)
"""

STEPS = 50
SGD = {"type": "SGD", "lr": 0.1}
MOMENTUM = SGD | {"momentum": 0.9}
ADAM = {"type": "Adam", "lr": 0.05}
ADAMW = {"type": "AdamW", "lr": 0.05}


def run(name: str, optimizer: dict, schedule: dict | None = None, clip: dict | None = None, groups=None) -> dict:
    groups = groups or [{"parameters": ["weight", "bias"]}]
    return {"name": name, "optimizer": optimizer, "groups": groups, "schedule": schedule, "clip": clip}


RUNS = [
    run("sgd", SGD),
    run("sgd-momentum", MOMENTUM),
    run("sgd-dampening", MOMENTUM | {"dampening": 0.3}),
    run("sgd-nesterov", MOMENTUM | {"nesterov": True}),
    run("sgd-weight-decay", SGD | {"weight_decay": 0.05}),
    run("sgd-nesterov-weight-decay", MOMENTUM | {"nesterov": True, "weight_decay": 0.01}),
    run("adam", ADAM),
    run("adam-weight-decay", ADAM | {"weight_decay": 0.05}),
    run("adam-betas-eps", ADAM | {"betas": [0.8, 0.95], "eps": 1e-3}),
    run("adam-amsgrad", ADAM | {"amsgrad": True, "betas": [0.5, 0.6]}),
    run("adamw", ADAMW),
    run("adamw-weight-decay", ADAMW | {"weight_decay": 0.2}),
    run("adamw-amsgrad", ADAMW | {"amsgrad": True, "betas": [0.5, 0.6]}),
    run("step-lr", MOMENTUM, {"type": "StepLR", "step_size": 7, "gamma": 0.1}),
    run("multi-step-lr", MOMENTUM, {"type": "MultiStepLR", "milestones": [5, 20, 21, 40], "gamma": 0.3}),
    run("cosine", MOMENTUM, {"type": "CosineAnnealingLR", "T_max": STEPS}),
    run("cosine-eta-min", ADAM, {"type": "CosineAnnealingLR", "T_max": 20, "eta_min": 0.01}),
    run("one-cycle", MOMENTUM, {"type": "OneCycleLR", "max_lr": 0.5, "total_steps": STEPS}),
    run("one-cycle-linear-three-phase", MOMENTUM, {
        "type": "OneCycleLR", "max_lr": 0.5, "total_steps": STEPS, "anneal_strategy": "linear", "three_phase": True,
        "pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 100.0,
    }),
    run("one-cycle-fixed-momentum", MOMENTUM, {
        "type": "OneCycleLR", "max_lr": 0.3, "total_steps": STEPS, "cycle_momentum": False,
    }),
    run("one-cycle-adam", ADAM, {"type": "OneCycleLR", "max_lr": 0.1, "total_steps": STEPS}),
    run("linear-warmup", MOMENTUM, {"type": "LinearLR", "start_factor": 0.1, "total_iters": 10}),
    run("warmup-cosine", MOMENTUM, {"type": "warmupCosine", "start_factor": 0.1, "total_iters": 10, "T_max": 40}),
    run("clip", SGD | {"lr": 1.0}, clip={"maxNorm": 0.25, "normType": 2}),
    run("clip-infinity", SGD | {"lr": 1.0}, clip={"maxNorm": 0.1, "normType": "inf"}),
    run("groups", MOMENTUM, groups=[
        {"parameters": ["weight"]}, {"parameters": ["bias"], "lr": 0.01, "momentum": 0.5, "weight_decay": 0.1},
    ]),
    run("groups-step-lr", ADAMW, {"type": "StepLR", "step_size": 10, "gamma": 0.5}, groups=[
        {"parameters": ["bias"], "lr": 0.2}, {"parameters": ["weight"], "weight_decay": 0.0},
    ]),
]


def make_schedule(optimizer: torch.optim.Optimizer, schedule: dict):
    arguments = {key: value for key, value in schedule.items() if key != "type"}
    library = torch.optim.lr_scheduler
    if schedule["type"] != "warmupCosine":
        return getattr(library, schedule["type"])(optimizer, **arguments)
    cosine = library.CosineAnnealingLR(optimizer, arguments.pop("T_max"))
    warmup = library.LinearLR(optimizer, **arguments)
    return library.SequentialLR(optimizer, [warmup, cosine], milestones=[arguments["total_iters"]])


def moving_momentum(group: dict) -> float:
    return group["betas"][0] if "betas" in group else group["momentum"]


def trajectory(
    settings: dict, x: torch.Tensor, y: torch.Tensor, start: dict[str, torch.Tensor], dtype: torch.dtype
) -> dict[str, np.ndarray]:
    x = x.to(dtype)
    parameters = {name: value.to(dtype, copy=True).requires_grad_() for name, value in start.items()}
    arguments = {key: value for key, value in settings["optimizer"].items() if key != "type"}
    groups = [
        {key: [parameters[n] for n in value] if key == "parameters" else value for key, value in group.items()}
        for group in settings["groups"]
    ]
    for group in groups:
        group["params"] = group.pop("parameters")
    optimizer = getattr(torch.optim, settings["optimizer"]["type"])(groups, **arguments)
    schedule = make_schedule(optimizer, settings["schedule"]) if settings["schedule"] else None
    history: dict[str, list] = {name: [value.detach().clone()] for name, value in parameters.items()}
    history |= {"lr": [], "norm": [], "momentum": [], "gradWeight": [], "gradBias": []}
    for step in range(STEPS):
        rows = slice(5 * step % 20, 5 * step % 20 + 5)
        optimizer.zero_grad()
        logits = functional.linear(x[rows], parameters["weight"], parameters["bias"])
        functional.cross_entropy(logits, y[rows]).backward()
        history["gradWeight"].append(parameters["weight"].grad.clone())
        history["gradBias"].append(parameters["bias"].grad.clone())
        if clip := settings["clip"]:
            norm = torch.nn.utils.clip_grad_norm_(parameters.values(), clip["maxNorm"], float(clip["normType"]))
            history["norm"].append(norm)
        history["lr"].append(torch.tensor([g["lr"] for g in optimizer.param_groups], dtype=dtype))
        history["momentum"].append(torch.tensor([moving_momentum(g) for g in optimizer.param_groups], dtype=dtype))
        optimizer.step()
        if schedule:
            schedule.step()
        for name, value in parameters.items():
            history[name].append(value.detach().clone())
    if not settings["schedule"] or settings["schedule"]["type"] != "OneCycleLR":
        del history["momentum"]
    return {name: torch.stack(values).numpy() for name, values in history.items() if values}


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=root / "Tests" / "Fixtures" / "optim")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 4, generator=generator), torch.randint(0, 3, (20,), generator=generator)
    start = {"weight": torch.randn(3, 4, generator=generator), "bias": torch.randn(3, generator=generator)}
    tensors = {"x": x.numpy(), "y": y.numpy()}
    for settings in RUNS:
        name = settings["name"]
        double = trajectory(settings, x, y, start, torch.float64)
        single = trajectory(settings, x, y, start, torch.float32)
        tensors |= {f"{name}/{key}": value for key, value in double.items()}
        tensors |= {f"{name}/{key}32": single[key] for key in ("weight", "bias")}
        drift = max(np.abs(double[key] - single[key]).max() for key in ("weight", "bias"))
        print(f"{name:30s} largest weight {np.abs(double['weight'][-1]).max():7.3f}  float32 drift {drift:.1e}")
    versions = oracle.versions("torch", "numpy")
    head = {"format": FORMAT.strip().splitlines(), "script": "scripts/make_optimizer_goldens.py", "versions": versions}
    runs = ",\n".join(json.dumps(settings) for settings in RUNS)
    text = json.dumps(head, indent=1)[:-2] + ',\n "runs": [\n' + runs + "\n]}\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "trajectories.json").write_text(text)
    oracle.save(out / "trajectories.safetensors", tensors, {"script": head["script"], **versions})


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What recording costs in PyTorch: the chains of `benchmarks recording`.

    python Benchmarks/recording.py
"""

import statistics
import time

import torch

torch.set_num_threads(1)
LENGTH = 10_000
x = torch.ones(8, requires_grad=True)
a, b = torch.full((8,), 0.999), torch.full((8,), 0.001)


def chain() -> torch.Tensor:
    y = x
    for _ in range(LENGTH // 2):
        y = y * a + b
    return y


def number_chain() -> torch.Tensor:
    y = x
    for _ in range(LENGTH // 2):
        y = y * 0.999 + 0.001
    return y


def measure(name: str, body, rounds: int = 15) -> None:
    times = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        body()
        times.append(time.perf_counter_ns() - start)
    print(f"{name}: {statistics.median(times) / LENGTH:.0f} ns per operation")


def unrecorded() -> None:
    with torch.no_grad():
        chain()


def backward(run) -> None:
    x.grad = None
    run().sum().backward()


measure("forward, not recorded", unrecorded)
measure("forward, recorded", chain)
measure("forward and backward", lambda: backward(chain))
measure("forward and backward, numbers as operands", lambda: backward(number_chain))

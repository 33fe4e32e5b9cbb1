"""
Train one model on bytes: batches, schedule, the step (replayed as one CUDA graph on a GPU), and the held-out loss.

Everything that decides the answer is in a Cell and in the constants here; `sweep.py` trains many cells.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model import Model, Shape
from torch import Tensor

CONTEXT = 256
BATCH = 16
"""Sequences per step, for every run."""
BATCH_TOKENS = BATCH * CONTEXT
VALIDATION_WINDOWS = 4096
WARMUP = 0.05
"""Fraction of the steps in which the rate rises to its peak; it then falls to zero along a cosine."""
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.99)
CLIP = 1.0


def learning_rate(width: int, tokens: float) -> float:
    """Return the peak rate of a width and a horizon: the rule that the pilot found."""
    return 0.006 * (width / 64) ** -1.15 * (tokens / 1e7) ** -0.13


@dataclass(frozen=True)
class Cell:
    """One run to train: its name, shape, steps, seed and peak rate."""

    run: str
    shape: Shape
    steps: int
    seed: int
    rate: float

    @property
    def tokens(self) -> int:
        """Bytes that are trained on."""
        return self.steps * BATCH_TOKENS

    @property
    def flops(self) -> float:
        """Training FLOPs as 6ND, with N every parameter (the tied embedding once)."""
        return 6.0 * self.shape.params_total * self.tokens


def cell_at(run: str, shape: Shape, tokens: float, seed: int) -> Cell:
    """Return a cell of whole steps, at the rate of its width and horizon."""
    steps = max(1, round(tokens / BATCH_TOKENS))
    return Cell(run, shape, steps, seed, float(f"{learning_rate(shape.width, steps * BATCH_TOKENS):.4g}"))


def read_bytes(corpus: Path, side: str, device: str) -> Tensor:
    """Return one side of the corpus on the device."""
    return torch.from_numpy(np.fromfile(corpus / f"{side}.bin", dtype=np.uint8)).to(device)


def window_order(size: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return the windows of each step, (steps, BATCH): all windows of the data, shuffled, before any comes again."""
    count = (size - 1) // CONTEXT
    orders = [rng.permutation(count) for _ in range(-(-steps * BATCH // count))]
    return np.concatenate(orders)[: steps * BATCH].reshape(steps, BATCH)


def windows(data: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Return inputs and next bytes, both (len(starts), CONTEXT), of windows that begin at ``starts``."""
    taken = data[starts[:, None] + torch.arange(CONTEXT + 1, device=data.device)].long()
    return taken[:, :-1], taken[:, 1:]


def nats(model: Model, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of the next byte."""
    return torch.nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


def evaluate(model: Model, data: Tensor) -> float:
    """Return nats per byte on windows spread evenly over the validation text, the same for every run."""
    count = min(VALIDATION_WINDOWS, (len(data) - 1) // CONTEXT)
    starts = torch.linspace(0, len(data) - 1 - CONTEXT, count, dtype=torch.float64).long().to(data.device)
    with torch.inference_mode():
        parts = torch.stack([nats(model, *windows(data, part)) * len(part) for part in starts.split(64)])
    return float(parts.double().sum() / count)


def rate_at(step: int, steps: int) -> float:
    """Return the fraction of the peak rate: a linear warm-up, then a cosine to zero over the whole horizon."""
    warm = max(1, round(WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def start(cell: Cell, device: str) -> tuple[Model, np.random.Generator]:
    """
    Return a new model, drawn on the CPU so that it starts alike on every device, and the generator of its data.

    The seed and the cell together decide both, so that no two runs share their noise.
    """
    rng = np.random.default_rng([cell.seed, cell.shape.width, cell.shape.depth, cell.steps])
    torch.manual_seed(int(rng.integers(2**63)))
    return Model(cell.shape, CONTEXT).to(device), rng


def optimiser_of(model: Model, rate: Tensor) -> torch.optim.AdamW:
    """Return AdamW with decay on matrices alone; its rate is a tensor that the step writes."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    on_gpu = rate.is_cuda
    return torch.optim.AdamW(groups, lr=rate, betas=BETAS, fused=True, capturable=on_gpu)


def as_graph(step: Callable[[], None], state: Callable[[], list[Tensor]]) -> Callable[[], None]:
    """
    Return the step as a CUDA graph: a small model's hundreds of kernels then cost one launch.

    The warm-up that capture needs moves the state (parameters, moments, counters), so it is put back.
    """
    with torch.no_grad():
        before = [t.clone() for t in state()]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    with torch.no_grad():
        for tensor, value in zip(state(), before, strict=False):
            tensor.copy_(value)
        for tensor in state()[len(before) :]:  # moments and step counts, which did not exist before
            tensor.zero_()
    return graph.replay


def train(cell: Cell, corpus: Path, device: str = "cpu") -> dict[str, Any]:
    """Train one cell and return its row; on the CPU it takes one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("high")
    begun = time.perf_counter()
    data, held_out = (read_bytes(corpus, side, device) for side in ("train", "val"))
    model, rng = start(cell, device)
    order = torch.from_numpy(window_order(len(data), cell.steps, rng)).to(device)
    rates = torch.tensor([cell.rate * rate_at(s, cell.steps) for s in range(cell.steps)], device=device)
    losses = torch.zeros(cell.steps, device=device)
    at, rate = torch.zeros(1, dtype=torch.long, device=device), torch.tensor(cell.rate, device=device)
    optimiser = optimiser_of(model, rate)

    def step() -> None:
        rate.copy_(rates[at][0])
        loss = nats(model, *windows(data, order[at][0] * CONTEXT))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        losses.index_copy_(0, at, loss.detach()[None])
        at.add_(1)

    def state() -> list[Tensor]:
        moments = [value for slots in optimiser.state.values() for value in slots.values()]
        return [*model.parameters(), at, *moments]

    advance = as_graph(step, state) if device == "cuda" else step
    for _ in range(cell.steps):
        advance()
    return row_of(cell, evaluate(model, held_out), losses, len(data), time.perf_counter() - begun, device)


def row_of(cell: Cell, loss: float, losses: Tensor, size: int, seconds: float, device: str) -> dict[str, Any]:
    """Return what the CSV says of a run: counts under both conventions, the loss, and how it was trained."""
    return {
        "run": cell.run,
        "params": cell.shape.params_total,
        "tokens": cell.tokens,
        "flops": f"{cell.flops:.6g}",
        "loss": f"{loss:.6f}",
        "params_total": cell.shape.params_total,
        "params_non_embedding": cell.shape.params_non_embedding,
        "flops_exact": f"{cell.shape.flops_per_token(CONTEXT) * cell.tokens:.6g}",
        "train_loss": f"{losses[-max(1, cell.steps // 20) :].double().mean().item():.6f}",
        "learning_rate": f"{cell.rate:.6g}",
        "width": cell.shape.width,
        "depth": cell.shape.depth,
        "batch_tokens": BATCH_TOKENS,
        "context": CONTEXT,
        "steps": cell.steps,
        "seed": cell.seed,
        "epochs": f"{cell.tokens / size:.4f}",
        "seconds": f"{seconds:.1f}",
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU, one thread",
    }

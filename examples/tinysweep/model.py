"""A decoder-only transformer on bytes, its exact counts of parameters and FLOPs, and a ladder of shapes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY = 256
FFN = 4


@dataclass(frozen=True)
class Shape:
    """
    Width and depth of a model; everything about its size follows.

    Parameters
    ----------
    width : int
        Length of the residual stream: even, from 64 on a multiple of 4, from 128 on of 8, from 256 on of 16.
    depth : int
        Number of layers.
    """

    width: int
    depth: int

    @property
    def heads(self) -> int:
        """Heads of attention: 1 below width 64, 2 below 128, 4 below 256, 8 from there."""
        return 1 if self.width < 64 else 2 if self.width < 128 else 4 if self.width < 256 else 8

    @property
    def params_non_embedding(self) -> int:
        """All but the embedding: 12d² of matrices, 2d of norms and a mix per head in a layer; a last norm."""
        d = self.width
        return self.depth * ((4 + 2 * FFN) * d * d + 2 * d + self.heads) + d

    @property
    def params_total(self) -> int:
        """Every weight; the embedding is tied, so that it counts once."""
        return self.params_non_embedding + VOCABULARY * self.width

    def flops_per_token(self, context: int) -> int:
        """
        Training FLOPs of one token: every matrix product of the forward pass, times three.

        A token attends to the whole context, as published counts have it; norms and activations are not counted.
        """
        d = self.width
        matrices = 2 * self.depth * (4 + 2 * FFN) * d * d
        attention = self.depth * 4 * context * d
        logits = 2 * VOCABULARY * d
        return 3 * (matrices + attention + logits)


DEPTH = 4
WIDTHS = (*range(8, 64, 4), *range(64, 128, 8), *range(128, 256, 16), *range(256, 513, 32))
LADDER = tuple(Shape(width, DEPTH) for width in WIDTHS)
"""One depth for all, so that nothing but the width changes along the ladder."""


def nearest(params: float) -> Shape:
    """Return the shape of the ladder whose total count is nearest to ``params``, by ratio."""
    return min(LADDER, key=lambda shape: max(shape.params_total / params, params / shape.params_total))


class Block(nn.Module):
    """
    Causal attention and a feed-forward layer, each after a norm and beside a residual path.

    A key is a learned mix of its own byte's and the one before (the smeared keys of Olsson et al. 2022). Without it a
    model learns to copy from its context only with a second layer's help, late and in some seeds but not in others:
    replicates then differ by 0.1 nats, and no smooth law describes the sweep.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.heads = shape.heads
        self.before_attention = nn.Parameter(torch.ones(d))
        self.before_ffn = nn.Parameter(torch.ones(d))
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.smear = nn.Parameter(torch.zeros(shape.heads))
        self.mix = nn.Linear(d, d, bias=False)
        self.up = nn.Linear(d, FFN * d, bias=False)
        self.down = nn.Linear(FFN * d, d, bias=False)
        for layer in (self.qkv, self.up):
            nn.init.normal_(layer.weight, std=d**-0.5)
        nn.init.normal_(self.mix.weight, std=(2 * shape.depth * d) ** -0.5)
        nn.init.normal_(self.down.weight, std=(2 * shape.depth * FFN * d) ** -0.5)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return the residual stream after this layer; ``x`` is (batch, context, width)."""
        batch, context, d = x.shape
        normed = functional.rms_norm(x, (d,), self.before_attention)
        q, k, v = self.qkv(normed).view(batch, context, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        own = torch.sigmoid(self.smear)[:, None, None]
        k = own * k + (1 - own) * functional.pad(k[:, :, :-1], (0, 0, 1, 0))
        mixed = functional.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.mix(mixed.transpose(1, 2).reshape(batch, context, d))
        hidden = functional.relu(self.up(functional.rms_norm(x, (d,), self.before_ffn)))
        return x + self.down(hidden * hidden)


class Model(nn.Module):
    """
    Decoder on bytes: pre-norm RMSNorm, rotary positions, squared ReLU, tied embedding, no biases.

    Parameters
    ----------
    shape : Shape
        Width and depth.
    context : int
        Bytes per sequence.
    """

    def __init__(self, shape: Shape, context: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(VOCABULARY, shape.width) * shape.width**-0.5)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.last_norm = nn.Parameter(torch.ones(shape.width))
        pairs = shape.width // shape.heads // 2
        angles = torch.outer(torch.arange(context), 1e4 ** -(torch.arange(pairs) / pairs))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (batch, context, 256) of the next byte; ``tokens`` is (batch, context) of integers."""
        x = functional.embedding(tokens, self.embedding)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return functional.rms_norm(x, x.shape[-1:], self.last_norm) @ self.embedding.T


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the halves of each head against each other by an angle that grows with the position."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, left * sin + right * cos), dim=-1)

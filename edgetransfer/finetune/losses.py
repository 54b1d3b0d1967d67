"""What a step minimises: cross-entropy, and what a teacher adds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.card import override
from edgetransfer.engines import Engine, open_engine
from edgetransfer.errors import UsageError
from edgetransfer.heads import LinearHead
from edgetransfer.settings.shared import CardOverrides
from edgetransfer.types import Float32Array, IntArray, Preprocessing

F = torch.nn.functional

logger = logging.getLogger(__name__)

FEATURES_WEIGHT = 2.0  # of features to learn, whose errors are small beside those of answers


@dataclass(frozen=True)
class Mixing:
    """Images in pairs: x = share * x + (1 - share) * x[partner] (Zhang et al., ICLR 2018)."""

    share: float
    partner: IntArray

    @classmethod
    def drawn(cls, n: int, alpha: float, seed: int, step: int) -> Mixing:
        """Of n images; a function of (seed, step) alone."""
        rng = np.random.default_rng((seed, step))
        return cls(float(rng.beta(alpha, alpha)), rng.permutation(n).astype(np.int64))

    def of(self, images: Float32Array) -> Float32Array:
        """Mix (n, …) images."""
        mixed = images * np.float32(self.share)
        mixed += np.float32(1 - self.share) * images[self.partner]
        return mixed


def cross_entropy(
    logits: Tensor, labels: Tensor, partners: Tensor | None, share: float, smoothing: float
) -> Tensor:
    """The sum over (n, K) logits of the loss of (n,) labels, mixed with those of partners."""
    loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
    if partners is None:
        return loss
    other = F.cross_entropy(logits, partners, reduction="sum", label_smoothing=smoothing)
    return share * loss + (1 - share) * other


class Teacher:
    """A backbone or classifier whose answers are learned beside the labels.

    Parameters
    ----------
    teaches
        ``logits`` (n, K), compared as probabilities at a temperature (Hinton, Vinyals, Dean,
        "Distilling the knowledge in a neural network", 2015), or ``features`` (n, D), compared
        by squared distance over squared length; the latter with logits of a head of its own, if
        it has been given one.
    """

    def __init__(
        self,
        engine: Engine,
        teaches: Literal["logits", "features"],
        backbone: Backbone,
        given: Preprocessing,
        temperature: float,
    ) -> None:
        self.engine = engine
        self.teaches = teaches
        self.backbone = backbone
        self._head: tuple[Tensor, Tensor] | None = None
        self._temperature = temperature
        # (given * std + mean - own mean) / own std, in the order of the teacher's channels
        own = backbone.preprocessing
        order = ["RGB".index(name) for name in own.channels]
        mean, std = (np.array(v, np.float32)[order] for v in (given.mean, given.std))
        own_mean, own_std = (np.array(v, np.float32)[order] for v in (own.mean, own.std))
        self._scale = (std / own_std).reshape(1, 3, 1, 1)
        self._shift = ((mean - own_mean) / own_std).reshape(1, 3, 1, 1)
        self._step = 1 if own.channels == given.channels else -1

    @classmethod
    def open(
        cls,
        path: str,
        *,
        classes: int,
        dimension: int,
        given: Preprocessing,
        batch_size: int,
        engine: str,
        threads: int | None,
        temperature: float,
    ) -> Teacher:
        """Open an ONNX file as a teacher.

        Raises
        ------
        UsageError
            If it has neither an output for each class nor features as long as the student's.
        """
        body = Backbone.open(path)
        teaches: Literal["logits", "features"] = "features"
        logits = body.cut.classifier
        if logits is not None:
            whole = Backbone.open(path, features=logits)
            if whole.dimension == classes:
                body, teaches = whole, "logits"
        if teaches == "features" and body.dimension == classes != dimension:
            teaches = "logits"
        elif teaches == "features" and body.dimension != dimension:
            raise UsageError(
                f"--teacher {path}: it has {body.dimension} features and no output for each of the "
                f"{classes} classes; the student has {dimension} features"
            )
        if body.card.assumed:  # most likely the student was made from it
            logger.info("--teacher %s has no card: it sees images as the student does", path)
            seen = override(
                body.card, CardOverrides(mean=given.mean, std=given.std, size=given.size)
            )
            body = replace(body, card=seen)
        if body.preprocessing.size != given.size:
            raise UsageError(
                f"--teacher {path}: it takes {body.preprocessing.size} pixels, the student "
                f"{given.size}"
            )
        opened = open_engine(body.frozen(batch_size), engine=engine, threads=threads)
        return cls(opened, teaches, body, given, temperature)

    def learn_head(self, head: LinearHead) -> None:
        """Teach the answers of a head on its features, too."""
        self._head = (
            torch.from_numpy(np.ascontiguousarray(head.weights.T)),
            torch.from_numpy(head.bias.copy()),
        )

    def answers(self, images: Float32Array) -> Tensor:
        """What it says of (n, 3, S, S) images that are normalised for the student."""
        return torch.from_numpy(
            self.engine.run(images[:, :: self._step] * self._scale + self._shift)
        )

    def loss(self, features: Tensor, logits: Tensor, answers: Tensor) -> Tensor:
        """The sum over n images of the distance from its answers."""
        if self.teaches == "features":
            distance = (features - answers).square().sum(dim=1)
            taught = (
                FEATURES_WEIGHT * (distance / answers.square().sum(dim=1).clamp_min(1e-6)).sum()
            )
            if self._head is None:
                return taught
            weights, bias = (part.to(answers.device) for part in self._head)
            return taught + self._divergence(logits, F.linear(answers, weights, bias))
        return self._divergence(logits, answers)

    def _divergence(self, logits: Tensor, answers: Tensor) -> Tensor:
        t = self._temperature
        return (
            t
            * t
            * F.kl_div(
                F.log_softmax(logits / t, dim=1),
                F.log_softmax(answers / t, dim=1),
                reduction="sum",
                log_target=True,
            )
        )

"""The optimizers of a finetuning, and what a teacher adds to the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgetransfer.finetune.losses import FEATURES_WEIGHT, Teacher  # noqa: E402
from edgetransfer.finetune.optimizers import WARM_UP, cosine_rate, make_optimizer  # noqa: E402
from edgetransfer.finetune.settings import FinetuneSettings  # noqa: E402
from edgetransfer.heads import LinearHead, SGDSettings  # noqa: E402
from edgetransfer.types import Preprocessing  # noqa: E402
from tests.graphs_made import noise, tiny  # noqa: E402


def test_a_cosine_rises_and_falls_to_nothing() -> None:
    rates = [cosine_rate(0.1, step, 1000) for step in range(1001)]
    assert rates[0] == pytest.approx(0.1 / WARM_UP)
    assert max(rates) == pytest.approx(0.1, rel=0.01)
    assert rates[500] == pytest.approx(0.05)
    assert rates[1000] == 0
    assert cosine_rate(0.1, 0, 1) > 0  # a single step is taken


def test_schedules_go_with_optimizers() -> None:
    assert not FinetuneSettings().is_cosine
    assert FinetuneSettings(optimizer="adam").is_cosine
    assert FinetuneSettings(schedule="cosine").is_cosine
    assert not FinetuneSettings(optimizer="adam", schedule="step").is_cosine


@pytest.mark.parametrize("grouped", [False, True])
def test_adam_is_torchs_adamw(grouped: bool) -> None:
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    settings = SGDSettings(learning_rate=0.01, weight_decay=0.1)
    own = FinetuneSettings(optimizer="adam")
    steps = [
        make_optimizer({"w": ours}, settings, own, grouped=grouped),
        torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1),
    ]
    for _ in range(3):
        for parameter, optimizer in zip((ours, theirs), steps, strict=True):
            parameter.grad = (parameter.detach() ** 2).clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    return Teacher.open(
        str(tiny(seed=3, size=32, head="none").save(tmp_path / "teacher.onnx")),
        classes=3,
        dimension=12,
        given=Preprocessing(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        batch_size=4,
        engine="onnxruntime",
        threads=1,
        temperature=2.0,
    )


def test_a_teacher_without_a_card_sees_what_the_student_sees(teacher: Teacher) -> None:
    images = noise(4, 3, 32, 32)
    expected = teacher.engine.run(images)
    np.testing.assert_allclose(teacher.answers(images).numpy(), expected, rtol=1e-5)


def test_features_are_taught_with_the_answers_of_a_head_on_them(teacher: Teacher) -> None:
    rng = np.random.default_rng(0)
    made, answers = (torch.from_numpy(rng.random((4, 12)).astype(np.float32)) for _ in range(2))
    logits = torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32))
    distance = ((made - answers) ** 2).sum(1) / (answers**2).sum(1)
    plain = teacher.loss(made, logits, answers)
    torch.testing.assert_close(plain, FEATURES_WEIGHT * distance.sum())
    weights = rng.normal(size=(12, 3)).astype(np.float32)
    bias = rng.normal(size=3).astype(np.float32)
    teacher.learn_head(LinearHead(weights=weights, bias=bias, classes=("a", "b", "c")))
    wanted = torch.softmax(
        (answers @ torch.from_numpy(weights) + torch.from_numpy(bias)) / 2, dim=1
    )
    said = torch.log_softmax(logits / 2, dim=1)
    divergence = 4 * (wanted * (wanted.log() - said)).sum()
    torch.testing.assert_close(teacher.loss(made, logits, answers), plain + divergence)

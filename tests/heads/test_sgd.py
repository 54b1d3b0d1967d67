"""SGD against torch, against its own definition, and on blobs."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from edgetransfer.errors import UsageError
from edgetransfer.heads import LinearHead, SGDSettings, SGDSolver
from edgetransfer.heads.native_steps import load_step
from tests.heads.blobs import blobs


def test_one_step_by_hand():
    head = LinearHead(
        weights=np.zeros((1, 2), np.float32), bias=np.zeros(2, np.float32), classes=("a", "b")
    )
    solver = SGDSolver(head, SGDSettings(learning_rate=0.5, momentum=0.9, weight_decay=0.0))
    # p = (1/2, 1/2), y = (1, 0): gradient of w is x (p - y) = 2 * (-1/2, 1/2).
    loss = solver.step(np.array([[2.0]], np.float32), np.array([0]), 0.5)
    assert loss == pytest.approx(np.log(2))
    np.testing.assert_allclose(solver.head.weights, [[0.5, -0.5]], atol=1e-7)
    np.testing.assert_allclose(solver.head.bias, [0.25, -0.25], atol=1e-7)


def test_every_step_equals_torch():
    torch = pytest.importorskip("torch", reason="torch is an extra")
    rng = np.random.default_rng(0)
    d, k, batch = 32, 10, 16
    head = LinearHead.initial(d, [str(i) for i in range(k)], seed=0)
    settings = SGDSettings(learning_rate=0.1, momentum=0.9, weight_decay=5e-4)
    solver = SGDSolver(head, settings)
    layer = torch.nn.Linear(d, k)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weights.T.copy()))
        layer.bias.copy_(torch.from_numpy(head.bias.copy()))
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for _ in range(50):
        x = rng.normal(size=(batch, d)).astype(np.float32)
        y = rng.integers(0, k, batch)
        loss = solver.step(x, y, 0.1)
        optimiser.zero_grad()
        torch_loss = torch.nn.functional.cross_entropy(
            layer(torch.from_numpy(x)), torch.from_numpy(y)
        )
        torch_loss.backward()
        optimiser.step()
        assert loss == pytest.approx(torch_loss.item(), rel=1e-5)
        np.testing.assert_allclose(
            solver.head.weights, layer.weight.detach().numpy().T, rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            solver.head.bias, layer.bias.detach().numpy(), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("shape", [(64, 2048, 100), (1, 7, 1), (5, 33, 17), (63, 40, 129)])
def test_the_library_agrees_with_numpy(monkeypatch, shape):
    batch, d, k = shape
    rng = np.random.default_rng(0)
    head = LinearHead.initial(d, [str(i) for i in range(k)], seed=0)
    ours = SGDSolver(head, SGDSettings(weight_decay=0.01), threads=2)
    if ours._native is None:
        pytest.skip("the native library is not there")
    monkeypatch.setattr("edgetransfer.heads.sgd.load_step", lambda: None)
    other = SGDSolver(head, SGDSettings(weight_decay=0.01))
    for _ in range(3):
        x = rng.normal(size=(batch, d)).astype(np.float32)
        y = rng.integers(0, k, batch)
        assert ours.step(x, y, 0.1) == pytest.approx(other.step(x, y, 0.1), rel=1e-4)
    for name, value in ours.state().items():
        np.testing.assert_allclose(value, other.state()[name], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("isa", ["avx2", "portable"])
def test_other_kernels_agree(isa):
    """The library chooses its kernels once, so each needs a process of its own."""
    if load_step() is None:
        pytest.skip("the native library is not there")
    program = """
        import sys
        import numpy as np
        from edgetransfer.heads import LinearHead, SGDSettings, SGDSolver
        rng = np.random.default_rng(0)
        head = LinearHead.initial(50, [str(i) for i in range(37)], seed=0)
        solver = SGDSolver(head, SGDSettings())
        for _ in range(3):
            x = rng.normal(size=(19, 50)).astype(np.float32)
            solver.step(x, rng.integers(0, 37, 19), 0.1)
        sys.stdout.buffer.write(solver.head.weights.tobytes())
    """
    found = [
        np.frombuffer(subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, **more}, capture_output=True, check=True,
        ).stdout, np.float32)
        for more in ({}, {"EDGETRANSFER_ISA": isa})
    ]  # fmt: skip
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)


def test_two_threads_give_the_same_bits():
    features, labels = blobs(seed=1)
    head = LinearHead.initial(features.shape[1], ("a", "b", "c"), seed=0)
    solvers = [SGDSolver(head, SGDSettings(), threads=n) for n in (1, 2)]
    for solver in solvers:
        for i in range(5):
            solver.step(features[16 * i : 16 * i + 16], labels[16 * i : 16 * i + 16], 0.1)
    assert np.array_equal(solvers[0].head.weights, solvers[1].head.weights)


def test_what_is_not_a_number_shows_in_the_loss():
    head = LinearHead.initial(40, [str(i) for i in range(20)], seed=0)
    head.weights[:, 19] = np.nan
    solver = SGDSolver(head, SGDSettings())
    with np.errstate(invalid="ignore"):
        loss = solver.step(np.ones((16, 40), np.float32), np.zeros(16, np.int64), 0.1)
    assert not np.isfinite(loss)


def test_an_interrupt_before_the_first_half_neither_hangs_nor_learns(monkeypatch):
    features, labels = blobs(seed=1)
    solver = SGDSolver(
        LinearHead.initial(features.shape[1], ("a", "b", "c"), seed=0), SGDSettings(), threads=2
    )
    if solver._native is None:
        pytest.skip("the native library is not there")
    before, native = solver.state(), solver._native._function

    def interrupted(where, part, parts, meeting):
        if part == 0:
            raise KeyboardInterrupt
        native(where, part, parts, meeting)

    monkeypatch.setattr(solver._native, "_function", interrupted)
    with pytest.raises(KeyboardInterrupt):
        solver.step(features[:16], labels[:16], 0.1)
    for name, value in solver.state().items():
        assert np.array_equal(value, before[name])


def test_restored_solver_goes_on_bit_for_bit():
    features, labels = blobs(seed=3)
    head = LinearHead.initial(features.shape[1], ("a", "b", "c"), seed=0)

    def run(solver, steps):
        for i in steps:
            rows = slice(16 * i, 16 * i + 16)
            solver.step(features[rows], labels[rows], 0.1)

    whole = SGDSolver(head, SGDSettings())
    run(whole, range(10))
    first = SGDSolver(head, SGDSettings())
    run(first, range(4))
    second = SGDSolver(head, SGDSettings())
    second.restore(first.state())
    run(second, range(4, 10))
    assert np.array_equal(whole.head.weights, second.head.weights)
    assert np.array_equal(whole.head.bias, second.head.bias)


def test_learns_blobs():
    features, labels = blobs(seed=0)
    solver = SGDSolver(
        LinearHead.initial(features.shape[1], ("a", "b", "c"), seed=0), SGDSettings()
    )
    for _ in range(30):
        solver.step(features, labels, 0.1)
    assert (solver.head.predict(features) == labels).mean() > 0.99


def test_schedule_divides_by_ten_after_each_third():
    settings = SGDSettings(learning_rate=0.01)
    rates = [settings.rate(epoch, 150) for epoch in (0, 49, 50, 99, 100, 149)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])
    assert settings.rate(0, 1) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "values",
    [{"learning_rate": 0}, {"momentum": 1}, {"weight_decay": -1}, {"learning_rate": np.nan}],
)
def test_senseless_settings_are_refused(values):
    with pytest.raises(UsageError):
        SGDSettings(**values)


def test_start_is_kaiming_uniform():
    head = LinearHead.initial(400, [str(i) for i in range(50)], seed=0)
    bound = 1 / 20
    assert np.abs(head.weights).max() <= bound
    # A uniform distribution within +-b has standard deviation b / sqrt(3).
    assert head.weights.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert np.array_equal(head.weights, LinearHead.initial(400, head.classes, seed=0).weights)
    assert not np.array_equal(head.weights, LinearHead.initial(400, head.classes, seed=1).weights)

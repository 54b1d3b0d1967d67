"""SGD against torch, against its own definition, and on blobs."""

import numpy as np
import pytest

from edgetransfer.errors import UsageError
from edgetransfer.heads import LinearHead, SGDSettings, SGDSolver
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

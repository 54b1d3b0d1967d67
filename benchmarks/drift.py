"""Which way of forgetting suits a stream that changes: a window, or a half-life?

Handwritten digits of scikit-learn, as they are and changed on the way, are learned in mixed order
by least squares on all samples so far, on the last N, or on all with a weight that halves every H.
Each head is solved anew from the weighted samples, exactly, so that this is what either way of
building it would reach; each sample is predicted before it is learned.

    python benchmarks/drift.py --orders 2
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.datasets import load_digits

CLASSES = 10
PENALTY = 0.3  # in units of the mean scatter of a feature
STEP = 60  # samples that are predicted by one head
NOTHING = 1e-6  # a weight that counts no more
WAYS = (
    ("all", 0),
    *(("window", n) for n in (150, 300, 600)),
    *(("half-life", n) for n in (50, 100, 200, 400)),
)


def mapped(pixels: np.ndarray) -> np.ndarray:
    """Square roots in rows of length one."""
    roots = np.sqrt(pixels)
    return roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-9)


def solved(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (D, K) and bias (K,) of weighted least squares on one-hot targets."""
    total = weights.sum()
    mean = weights @ rows / total
    centred = (rows - mean) * np.sqrt(weights)[:, None]
    scatter = centred.T @ centred
    shares = np.bincount(labels, weights, CLASSES)
    sums = np.zeros((CLASSES, rows.shape[1]))
    np.add.at(sums, labels, rows * weights[:, None])
    unit = np.trace(scatter) / len(scatter)
    regular = scatter + PENALTY * unit * np.eye(len(scatter))
    found = cho_solve(cho_factor(regular), (sums - shares[:, None] * mean).T)
    return found, shares / total - mean @ found


def accuracy(rows: np.ndarray, labels: np.ndarray, way: str, amount: int) -> float:
    """Test-then-train accuracy in percent."""
    right = 0
    for first in range(STEP, len(labels), STEP):
        age = np.arange(first)[::-1]
        if way == "all":
            weights = np.ones(first)
        elif way == "window":
            weights = (age < amount).astype(float)
        else:
            weights = 0.5 ** (age / amount)
        kept = weights > NOTHING
        head, bias = solved(rows[:first][kept], labels[:first][kept], weights[kept])
        scores = rows[first : first + STEP] @ head + bias
        scores[:, np.bincount(labels[:first][kept], minlength=CLASSES) == 0] = -np.inf
        right += int((scores.argmax(axis=1) == labels[first : first + STEP]).sum())
    return 100 * right / (len(labels) - STEP)


def streams(seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, pixels from 0 to 1, and labels."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    pixels, labels = pixels[order] / 16, labels[order]
    n, place = len(labels), np.arange(len(labels))

    def inverted(where: np.ndarray) -> np.ndarray:
        return np.where(where[:, None], 1 - pixels, pixels)

    late = place >= n // 2
    yield "nothing changes", pixels, labels
    yield "inverted midway", inverted(late), labels
    yield "class after class", inverted(place >= n * (labels + 1) // 12), labels
    share = np.linspace(0, 1, n)[:, None]
    yield "little by little", pixels * (1 - share) + (1 - pixels) * share, labels
    yield "labels swapped midway", pixels, np.where(late, (labels + 3) % CLASSES, labels)
    yield "there and back, six times", inverted(place // (n // 6) % 2 == 1), labels


def main() -> None:
    """Print a row a stream, a column a way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=2, help="in how many orders")
    orders = parser.parse_args().orders
    print(" " * 26 + " ".join(f"{way} {amount or ''}".rjust(13) for way, amount in WAYS))
    for each in zip(*(streams(seed) for seed in range(orders)), strict=True):
        means = [
            np.mean([accuracy(mapped(pixels), labels, *way) for _, pixels, labels in each])
            for way in WAYS
        ]
        print(each[0][0].ljust(26) + " ".join(f"{mean:13.1f}" for mean in means), flush=True)


if __name__ == "__main__":
    main()

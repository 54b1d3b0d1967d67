"""The head's solvers against their peers, on the same features, objective and order.

    python benchmarks/heads.py [--repeats N] [--only PART] [--large]

``sgd``: one epoch over 50,000 x 2,048 float32 features, 100 classes, batches of 64 in a shuffled
order: ours as ``train --cached --solver sgd`` runs it; torch's `Linear`, `cross_entropy` and
`optim.SGD`, as it comes and with ``fused=True``, on all cores. ``sgd-online``: the time of one step
at 1,000 classes and 2,048 features on one core, as online epochs run it. ``lbfgs``: one fit at one
strength and tolerance; ours and scikit-learn's `LogisticRegression`, float64, called as its
documentation says. ``search``: whole fits with the choice of everything, on features whose
variances fall like those of a backbone's: ``auto``, ``ridge`` (both with left-out scores of every
sample), ``lbfgs``; and scikit-learn's `LogisticRegressionCV` over ten strengths and five folds, and
`RidgeClassifierCV` over the same penalties as ours. ``few`` (of ``--data``, by ``--backbone``):
accuracy by photos a class, over draws, of ``auto``, ``lbfgs``, the nearest class mean and the
nearest neighbours. ``large`` is 50,000 x 2,048 features and 1,000
classes by ridge; it needs 4 GiB and is run by ``--large``.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits
from workloads import in_turns, median, report

from edgetransfer.engines import EnginePlan, available_cores
from edgetransfer.features import FeatureCache, cached_features, default_cache_folder
from edgetransfer.heads import (
    ClosedFormSolver,
    LBFGSSolver,
    LinearHead,
    SGDSettings,
    SGDSolver,
)
from edgetransfer.heads.closed_form import Method
from edgetransfer.metrics import accuracy_of, peak_memory_bytes
from edgetransfer.settings.train import LinearTraining, MapName
from edgetransfer.train.epochs import CachedEpochs
from edgetransfer.train.opening import cache_identity, load_splits, open_backbone, opened_extractor

BATCH = 64
STRENGTH, TOLERANCE, ITERATIONS = 1e-3, 1e-5, 1000
STEPS = 200  # of an epoch of 782 in each turn


def blobs(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Seeded Gaussian classes that overlap, (n, d) float32 and (n,) int64."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((k, d), np.float32)
    labels = rng.integers(0, k, n)
    features = rng.standard_normal((n, d), np.float32)
    features *= 3
    features += centres[labels]
    return features, labels


def solver_of(d: int, k: int, threads: int) -> SGDSolver:
    head = LinearHead.initial(d, [str(i) for i in range(k)], seed=0)
    return SGDSolver(head, SGDSettings(), threads=threads)


def our_sgd(features: np.ndarray, labels: np.ndarray, k: int) -> Callable[[], float]:
    solver = solver_of(features.shape[1], k, available_cores())
    source = CachedEpochs(features, labels, BATCH, seed=0)
    order = source.order(0, frozenset())

    def measure() -> float:
        with threadpool_limits(1):
            start = perf_counter()
            for batch in itertools.islice(source.batches(0, order), STEPS):
                solver.step(batch.features, batch.labels, 0.01)
            return (perf_counter() - start) / STEPS

    return measure


def torch_sgd(
    features: np.ndarray, labels: np.ndarray, k: int, *, fused: bool
) -> Callable[[], float]:
    import torch

    torch.set_num_threads(available_cores())
    layer = torch.nn.Linear(features.shape[1], k)
    options = {"fused": True} if fused else {}
    optimiser = torch.optim.SGD(
        layer.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, **options
    )
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    order = torch.from_numpy(np.random.default_rng((0, 0)).permutation(len(labels)))

    def measure() -> float:
        start = perf_counter()
        for first in range(0, STEPS * BATCH, BATCH):
            rows = order[first : first + BATCH]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(x[rows]), y[rows]).backward()
            optimiser.step()
        return (perf_counter() - start) / STEPS

    return measure


def sgd(repeats: int) -> None:
    n, d, k = 50_000, 2048, 100
    features, labels = blobs(n, d, k)
    found = {"edgetransfer": our_sgd(features, labels, k)}
    try:
        found["torch"] = torch_sgd(features, labels, k, fused=False)
        found["torch-fused"] = torch_sgd(features, labels, k, fused=True)
    except ImportError:
        pass
    seconds = {who: median(values, 6) for who, values in in_turns(found, repeats).items()}
    ratios = {w: round(s / seconds["edgetransfer"], 2) for w, s in seconds.items()}
    report("sgd", n=n, d=d, k=k, batch=BATCH, seconds_per_step=seconds, times_ours=ratios)


def sgd_online(repeats: int) -> None:
    d, k = 2048, 1000
    features, labels = blobs(BATCH, d, k)
    solver = solver_of(d, k, threads=1)

    def measure() -> float:
        with threadpool_limits(1):
            start = perf_counter()
            for _ in range(20):
                solver.step(features, labels, 0.01)
            return (perf_counter() - start) / 20

    seconds = median(in_turns({"ours": measure}, repeats)["ours"], 6)
    # At 3 % of an epoch a step of 64 images may take 3 % of their time in the extractor.
    report(
        "sgd-online",
        d=d,
        k=k,
        batch=BATCH,
        seconds_per_step=seconds,
        below_3_percent_up_to_images_per_second=round(0.03 * BATCH / seconds),
    )


def lbfgs(repeats: int) -> None:
    from sklearn.linear_model import LogisticRegression

    n, d, k = 3030, 1024, 101
    features, labels = blobs(n, d, k)
    classes = tuple(str(i) for i in range(k))
    exact = features.astype(np.float64)
    losses: dict[str, float] = {}

    def ours() -> float:
        solver = LBFGSSolver(l2=STRENGTH, tolerance=TOLERANCE, max_iterations=ITERATIONS)
        start = perf_counter()
        losses["edgetransfer"] = solver.fit(features, labels, classes).loss
        return perf_counter() - start

    def theirs() -> float:
        from edgetransfer.heads.loss import SoftmaxLoss

        model = LogisticRegression(
            C=1 / (STRENGTH * n), solver="lbfgs", max_iter=ITERATIONS, tol=TOLERANCE
        )
        start = perf_counter()
        model.fit(exact, labels)
        seconds = perf_counter() - start
        losses["scikit-learn"] = SoftmaxLoss(STRENGTH).value(
            exact, labels, model.coef_.T, model.intercept_
        )
        return seconds

    found = in_turns({"edgetransfer": ours, "scikit-learn": theirs}, repeats)
    seconds = {who: median(values, 3) for who, values in found.items()}
    ratio = round(seconds["scikit-learn"] / seconds["edgetransfer"], 2)
    report("lbfgs", n=n, d=d, k=k, seconds=seconds, times_ours=ratio, objective=losses)


def falling(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """As `blobs`, with variances that fall like those of a backbone's features; not negative."""
    rng = np.random.default_rng(0)
    scales = (np.arange(1, d + 1) ** -0.5).astype(np.float32)
    labels = rng.permutation(np.arange(n) % k)
    rows = rng.standard_normal((n, d), np.float32)
    rows += rng.standard_normal((k, d), np.float32)[labels]
    return np.maximum(rows * scales, 0), labels


def search(repeats: int) -> None:
    from sklearn.linear_model import LogisticRegressionCV, RidgeClassifierCV

    n, d, k = 3030, 1280, 101
    features, labels = falling(2 * n, d, k)
    features, unseen = features[:n], features[n:]
    labels, known = labels[:n], labels[n:]
    classes = tuple(str(i) for i in range(k))
    accuracy: dict[str, float] = {}

    def timed(name: str, fit: Callable[[], Callable[[np.ndarray], np.ndarray]]) -> float:
        start = perf_counter()
        predict = fit()
        seconds = perf_counter() - start
        accuracy[name] = round(float((predict(unseen) == known).mean()), 4)
        return seconds

    def closed(methods: tuple[Method, ...], maps: tuple[MapName, ...]) -> Callable:
        solver = ClosedFormSolver(methods=methods, maps=maps, logistic=len(methods) > 1)
        return solver.fit(features, labels, classes, threads=available_cores()).head.predict

    def logistic_cv() -> Callable:
        model = LogisticRegressionCV(Cs=10, cv=5, max_iter=ITERATIONS, use_legacy_attributes=False)
        return model.fit(features, labels).predict

    def ridge_cv() -> Callable:
        model = RidgeClassifierCV(alphas=np.logspace(-3, 2, 11))
        return model.fit(features, labels).predict

    contestants = {
        "auto": lambda: closed(("lda", "ridge"), ("power-l2", "l2")),
        "ridge": lambda: closed(("ridge",), ("raw",)),
        "lbfgs": lambda: LBFGSSolver().fit(features, labels, classes).head.predict,
        "scikit-learn-ridge-cv": ridge_cv,
        "scikit-learn-logistic-cv": logistic_cv,
    }
    found = in_turns(
        {name: partial(timed, name, fit) for name, fit in contestants.items()}, repeats
    )
    seconds = {who: median(values, 2) for who, values in found.items()}
    ratios = {who: round(value / seconds["lbfgs"], 2) for who, value in seconds.items()}
    report("search", n=n, d=d, k=k, seconds=seconds, times_lbfgs=ratios, accuracy=accuracy)


def few(data: str, backbone: str, draws: int) -> None:
    train, test = features_of(data, backbone)
    k = int(train[1].max()) + 1
    classes = tuple(str(i) for i in range(k))
    for shots in (1, 2, 5, 10, 20, 30):
        found: dict[str, list[float]] = {}
        for draw in range(draws):
            rng = np.random.default_rng(draw)
            parts = [rng.permutation(np.flatnonzero(train[1] == c))[:shots] for c in range(k)]
            rows, labels = train[0][np.concatenate(parts)], train[1][np.concatenate(parts)]
            for name, predicted in few_predictions(rows, labels, classes, test[0]).items():
                accuracy = accuracy_of(test[1], predicted, k).mean_per_class
                found.setdefault(name, []).append(accuracy)
        means = {name: round(100 * float(np.mean(values)), 2) for name, values in found.items()}
        ours = np.array(found["auto"])
        errors = {
            name: round(100 * float(np.std(ours - values) / np.sqrt(max(draws - 1, 1))), 2)
            for name, values in found.items()
            if name != "auto"
        }
        report("few", backbone=backbone, shots=shots, accuracy=means, standard_errors=errors)


def few_predictions(
    rows: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], unseen: np.ndarray
) -> dict[str, np.ndarray]:
    from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

    auto = ClosedFormSolver(logistic=True).fit(rows, labels, classes, threads=available_cores())
    neighbours = min(5, int(np.bincount(labels).min()))
    found = {
        "auto": auto.head.predict(unseen),
        "lbfgs": LBFGSSolver().fit(rows, labels, classes).head.predict(unseen),
        "nearest-mean": NearestCentroid().fit(rows, labels).predict(unseen),
    }
    for name, k in (("nearest", 1), ("neighbours", neighbours)):
        model = KNeighborsClassifier(k, metric="cosine").fit(rows, labels)
        found[name] = model.predict(unseen)
    return found


def features_of(data: str, backbone: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and labels of the training and test photos, from the cache where it has them."""
    settings = LinearTraining(backbone=backbone, data=Path(data), out=Path("unused"))
    opened, splits = open_backbone(settings), load_splits(settings)
    with opened_extractor(opened, settings, EnginePlan()) as extractor:
        identity = cache_identity(opened, extractor.engine)
        cache = FeatureCache(default_cache_folder(), identity, extractor.engine.dimension)
        tables = [
            cached_features(extractor, samples, cache=cache, skip=lambda sample, why: None)
            for samples in (splits.train, splits.test)
        ]
    return [(table.features, table.labels) for table in tables]


def large() -> None:
    n, d, k = 50_000, 2048, 1000
    features, labels = falling(n, d, k)
    classes = tuple(str(i) for i in range(k))
    before = peak_memory_bytes()
    start = perf_counter()
    solver = ClosedFormSolver(methods=("ridge",), maps=("raw",))
    result = solver.fit(features, labels, classes, threads=available_cores())
    report(
        "large",
        n=n,
        d=d,
        k=k,
        seconds=round(perf_counter() - start, 1),
        peak_gib=round(peak_memory_bytes() / 2**30, 2),
        peak_gib_before=round(before / 2**30, 2),
        left_out_accuracy=result.chosen.accuracy,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--only", choices=["sgd", "lbfgs", "search", "few"], help="one of the parts"
    )
    parser.add_argument("--large", action="store_true", help="the large ridge and nothing else")
    parser.add_argument("--data", help="of few: labelled photos, in train and test folders")
    parser.add_argument("--backbone", default="efficientnet-lite0-50", help="of few")
    parser.add_argument("--draws", type=int, default=10, help="of few")
    args = parser.parse_args()
    if args.only == "few":
        few(args.data, args.backbone, args.draws)
        return
    if args.large:
        large()
        return
    if args.only in (None, "search"):
        search(1 if args.repeats < 3 else 2)
    if args.only in (None, "lbfgs"):
        lbfgs(1 if args.repeats < 3 else 2)
    if args.only not in (None, "sgd"):
        return
    sgd(args.repeats)
    sgd_online(args.repeats)


if __name__ == "__main__":
    main()

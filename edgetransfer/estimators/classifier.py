"""The heads in closed form of `edgetransfer.heads`, as a classifier of scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from edgetransfer.engines import available_cores
from edgetransfer.errors import EdgeTransferError
from edgetransfer.heads import ClosedFormSolver, LBFGSSolver, LinearHead
from edgetransfer.reprs import LONGEST
from edgetransfer.train.fitting import METHODS
from edgetransfer.types import Float32Array

MAPS = ("power-l2", "l2", "raw")


class HeadClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear head, fitted as ``edgetransfer train`` does.

    Which of discriminant, ridge and their blend it is, on which map of the features, and with
    which penalty, is chosen by leave-one-out; probabilities are calibrated on left-out scores.

    Parameters
    ----------
    solver
        ``auto``, ``lda``, ``ridge`` or ``lbfgs`` (logistic regression, on features as they are).
    penalty
        In units of the mean scatter of a mapped feature, or of L-BFGS its l2; chosen if None.
    feature_map
        ``auto``: the best of ``power-l2``, ``l2`` and ``raw``; or one of them, or ``relu``.
    class_weights
        ``none``: each sample counts alike; ``balanced``: each class does. Not of L-BFGS.
    random_state
        Of folds and of the map ``relu``.

    Attributes
    ----------
    classes_
        (K,) labels, sorted.
    head_
        The fitted `LinearHead`.

    Examples
    --------
    >>> import numpy as np
    >>> from edgetransfer import HeadClassifier
    >>> rng = np.random.default_rng(0)
    >>> features = np.concatenate([rng.normal(0, 1, (20, 8)), rng.normal(3, 1, (20, 8))])
    >>> labels = ["a"] * 20 + ["b"] * 20
    >>> HeadClassifier().fit(features, labels).score(features, labels)
    1.0
    """

    def __init__(
        self,
        *,
        solver: str = "auto",
        penalty: float | None = None,
        feature_map: str = "auto",
        class_weights: str = "none",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.solver = solver
        self.penalty = penalty
        self.feature_map = feature_map
        self.class_weights = class_weights
        self.random_state = random_state

    def __repr__(self, N_CHAR_MAX: int = LONGEST // 2) -> str:
        text: str = super().__repr__(N_CHAR_MAX)
        return text

    def fit(self, X: Any, y: Any) -> HeadClassifier:
        """Fit to (N, D) features and (N,) labels of any kind.

        Raises
        ------
        ValueError
            If they are not such, a setting is not known, or there is one class only.
        """
        X, y = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        names = tuple(str(label) for label in self.classes_)
        try:
            self.head_ = self._fitted(X, labels.astype(np.int64), names)
        except EdgeTransferError as error:
            raise ValueError(str(error)) from error
        return self

    def _fitted(
        self, features: Float32Array, labels: np.ndarray[Any, Any], names: tuple[str, ...]
    ) -> LinearHead:
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        if self.solver == "lbfgs":
            return LBFGSSolver(l2=self.penalty).fit(features, labels, names, seed=int(seed)).head
        if self.solver not in METHODS:
            known = ", ".join((*METHODS, "lbfgs"))
            raise ValueError(f"solver is one of {known}, not {self.solver!r}")
        if self.feature_map not in ("auto", *MAPS, "relu"):
            known = ", ".join(("auto", *MAPS, "relu"))
            raise ValueError(f"feature_map is one of {known}, not {self.feature_map!r}")
        solver = ClosedFormSolver(
            methods=METHODS[self.solver],
            maps=MAPS if self.feature_map == "auto" else (self.feature_map,),  # type: ignore[arg-type]
            penalty=self.penalty,
            class_weights=self.class_weights,  # type: ignore[arg-type]
            seed=int(seed),
        )
        return solver.fit(features, labels, names, threads=available_cores()).head

    def predict_proba(self, X: Any) -> Float32Array:
        """(N, K) calibrated probabilities, in the order of ``classes_``; rows sum to one."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self.head_.predict_proba(X)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """(N,) labels, the most probable of each row."""
        check_is_fitted(self)
        found: np.ndarray[Any, Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found

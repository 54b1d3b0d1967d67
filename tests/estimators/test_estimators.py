"""What scikit-learn asks of an estimator, and what a pipeline of the two is good for."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

import edgetransfer
from edgetransfer import BackboneFeatures, HeadClassifier
from edgetransfer.data import find_images
from edgetransfer.errors import BackboneError, ImageError
from edgetransfer.images import SUFFIXES
from edgetransfer.reprs import LONGEST
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]

# None of scikit-learn's checks of a classifier is expected to fail.
EXPECTED_TO_FAIL: dict[str, str] = {}
# Its checks feed tables of numbers, which are no photos: `check_estimator` leaves such estimators
# out as a whole. These are the checks that feed nothing.
WITHOUT_DATA = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_get_params_invariance",
    "check_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
)


def labelled(folder: Path) -> tuple[list[str], list[str]]:
    files = [str(path) for path in find_images(folder, suffixes=SUFFIXES)]
    return files, [Path(path).parent.name for path in files]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "settings",
    [{}, {"solver": "lbfgs"}, {"solver": "ridge", "feature_map": "raw"}, {"solver": "lda"}],
    ids=str,
)
def test_the_classifier_passes_every_check(settings: dict[str, str]) -> None:
    found = estimator_checks.check_estimator(
        HeadClassifier(**settings), expected_failed_checks=EXPECTED_TO_FAIL, on_skip=None
    )
    assert len(found) > 50
    assert {row["status"] for row in found} <= {"passed", "skipped"}
    # What needs SCIPY_ARRAY_API in the environment is all that may be left out.
    assert [r["check_name"] for r in found if r["status"] == "skipped"] in (
        [],
        ["check_array_api_input"],
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WITHOUT_DATA)
@pytest.mark.parametrize("estimator", [BackboneFeatures(), HeadClassifier()], ids=repr)
def test_what_needs_no_data(estimator: object, name: str) -> None:
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


def test_a_pipeline_is_what_train_makes(photos: Path, backbone: Path, tmp_path: Path) -> None:
    files, labels = labelled(photos / "train")
    tested, known = labelled(photos / "test")
    model = make_pipeline(BackboneFeatures(backbone), HeadClassifier()).fit(files, labels)
    assert model.score(tested, known) >= 0.8
    assert list(model.classes_) == sorted(set(labels))
    rows = model.predict_proba(tested)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    edgetransfer.train_linear(data=photos, out=tmp_path / "run", backbone=str(backbone))
    with edgetransfer.Classifier.load(tmp_path / "run") as classifier:
        best = [found.classes[0] for found in classifier.predict(tested)]
    assert np.mean(model.predict(tested) == best) >= 0.8


def test_scikit_learns_own_tools_take_them(photos: Path, backbone: Path) -> None:
    files, labels = labelled(photos / "train")
    features = BackboneFeatures(backbone).fit_transform(files)
    assert features.shape == (60, 8)
    assert cross_val_score(HeadClassifier(solver="lda"), features, labels, cv=3).mean() > 0.7
    search = GridSearchCV(HeadClassifier(), {"solver": ["lda", "ridge"]}, cv=2)
    assert search.fit(features, labels).best_params_["solver"] in ("lda", "ridge")
    other = make_pipeline(BackboneFeatures(backbone), LogisticRegression()).fit(files, labels)
    assert other.score(files, labels) > 0.5


def test_features_have_names_and_become_a_frame(photos: Path, backbone: Path) -> None:
    pandas = pytest.importorskip("pandas")
    files, _ = labelled(photos / "test")
    table = pandas.DataFrame({"file": files})
    transformer = BackboneFeatures(backbone).set_output(transform="pandas")
    found = transformer.fit_transform(table)
    assert list(found.columns[:2]) == ["backbonefeatures0", "backbonefeatures1"]
    plain = BackboneFeatures(backbone).fit_transform(table["file"])
    np.testing.assert_array_equal(found.to_numpy(), plain)


def test_a_pickle_holds_no_weights_and_knows_its_file(
    photos: Path, backbone: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(backbone.read_bytes())
    model = onnx.load(mine)
    files, _ = labelled(photos / "test")
    fitted = BackboneFeatures(str(mine)).fit()
    expected = fitted.transform(files)
    file = io.BytesIO()
    pickle.dump(fitted, file)
    assert model.graph.initializer[0].raw_data[:32] not in file.getvalue()
    again = pickle.loads(file.getvalue())
    np.testing.assert_array_equal(again.transform(files), expected)
    assert clone(fitted).get_params() == fitted.get_params()
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]) * 2
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(model, mine)
    with pytest.raises(BackboneError, match="fit anew"):
        pickle.loads(file.getvalue()).transform(files)


def test_no_photo_is_left_out_and_every_form_is_taken(photos: Path, backbone: Path) -> None:
    files, _ = labelled(photos / "test" / "red")
    transformer = BackboneFeatures(backbone).fit()
    expected = transformer.transform(files)
    arrays = np.stack([np.asarray(Image.open(path)) for path in files])
    for given in (np.array(files), np.array(files)[:, None], photos / "test" / "red", arrays):
        np.testing.assert_allclose(transformer.transform(given), expected, atol=1e-6)
    Path(files[0]).write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"000\.png"):
        transformer.transform(files)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "forest"}, "solver is one of"),
        ({"feature_map": "cube"}, "feature_map is one of"),
        ({"penalty": -1.0}, "above zero"),
        ({"class_weights": "mine"}, "class-weights"),
    ],
)
def test_what_is_wrong_is_said(settings: dict[str, object], message: str) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        HeadClassifier(**settings).fit(rng.normal(size=(10, 4)), [0, 1] * 5)  # type: ignore[arg-type]


def test_reprs_are_short() -> None:
    long = "x" * 5000
    for estimator in (BackboneFeatures(long, engine=long), HeadClassifier(solver=long)):
        assert len(repr(estimator)) <= LONGEST


def test_scikit_learn_is_loaded_when_it_is_asked_for() -> None:
    code = (
        "import sys, edgetransfer\n"
        "assert not any(name.split('.')[0] == 'sklearn' for name in sys.modules)\n"
        "edgetransfer.BackboneFeatures\n"
        "assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

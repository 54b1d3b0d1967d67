"""Features as a map: photos that the backbone takes for alike lie side by side."""

from __future__ import annotations

import numpy as np

from edgetransfer.findings import plane_of
from edgetransfer.pages.html import plain, share
from edgetransfer.pages.selection import Selection

WIDTH, HEIGHT, EDGE = 860, 560, 16
COLOURS = 8


def embedding_map(selection: Selection) -> str:
    """The first two principal components of the features, a point a photo."""
    found = selection.examination
    plane, held = plane_of(found.features)
    at = _placed(plane)
    points = []
    for place in selection.points:
        label, predicted = int(found.labels[place]), int(found.predicted[place])
        miss = found.tested[place] and label != predicted
        title = f"{plain(found.classes[label], 40)}, {plain(found.samples[place].id, 60)}"
        if miss:
            title += f", taken for {plain(found.classes[predicted], 40)}"
        points.append(
            f'<circle class="f{label % COLOURS}{" miss" if miss else ""}" cx="{at[place, 0]:.1f}" '
            f'cy="{at[place, 1]:.1f}" r="4.5" data-p="{place}"><title>{title}</title></circle>'
        )
    n = len(found.samples)
    some = f", {len(points):,} of {n:,} photos" if len(points) < n else ""
    return (
        f'<p class="muted">The first two principal components of the features, {share(held)} of '
        f"their variance{some}. A colour is a class (or several, where there are more than "
        f"{COLOURS}); a mistake has an edge.</p>"
        f'<svg class="map" role="img" aria-label="Map of the photos by their features" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(points)}</svg><div id="tip" hidden></div>'
    )


def _placed(plane: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Coordinates in pixels, so that the farthest points lie at the edges."""
    low, high = plane.min(axis=0), plane.max(axis=0)
    scaled = (plane - low) / np.where(high > low, high - low, 1)
    size = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE], np.float32)
    placed: np.ndarray = EDGE + scaled * size  # type: ignore[type-arg]
    return placed

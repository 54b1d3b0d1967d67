"""Image files to model input: decoding, the train and eval views, normalisation."""

from edgetransfer.images.decoding import DECODING_VERSION, SUFFIXES, decode_image, open_upright
from edgetransfer.images.likeness import Look, likeness_of, look_at
from edgetransfer.images.views import (
    EvalTransform,
    TrainTransform,
    View,
    normalise,
    render,
    view_rng,
)

__all__ = [
    "DECODING_VERSION",
    "SUFFIXES",
    "EvalTransform",
    "Look",
    "TrainTransform",
    "View",
    "decode_image",
    "likeness_of",
    "look_at",
    "normalise",
    "open_upright",
    "render",
    "view_rng",
]

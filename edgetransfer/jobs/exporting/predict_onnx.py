"""Say what photos show, with onnxruntime, numpy and pillow alone: MODEL.onnx PHOTO…"""

import io
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageCms, ImageOps

model = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
said = model.get_modelmeta().custom_metadata_map
labels = json.loads(said["edgetransfer.labels"])
unknown_below = float(said.get("edgetransfer.unknown_below", -1))  # 0: none is unknown
distance = json.loads(said.get("edgetransfer.unknown_distance", "{}"))
card = json.loads(said["edgetransfer.preprocessing"])
grid = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round().astype(np.uint8)] * 3), -1)


def in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """The picture by its colour profile, if that differs from sRGB by more than rounding."""
    spaces = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    if spaces[0].profile.xcolor_space != "RGB ":
        return picture
    rules = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    turn = ImageCms.buildTransform(*spaces, "RGB", "RGB", *rules)
    patches = grid.reshape(27, 27, 3)
    seen = np.asarray(turn.apply(Image.fromarray(patches)), np.int16)
    return turn.apply(picture) if abs(seen - patches).max() > 3 else picture


def shown(path: str) -> Image.Image:
    """The part of a photo that the model sees: the shorter side resized, the centre cropped."""
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)
    if picture.mode[:1] in "IF":
        sys.exit(f"{path}: more than 8 bits a channel")
    alpha = picture.convert("RGBA").getchannel("A") if picture.has_transparency_data else None
    profile, picture = picture.info.get("icc_profile"), picture.convert("RGB")
    picture = in_srgb(picture, profile) if profile else picture
    if alpha is not None and np.asarray(alpha).max() > 1:
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
    (w, h), size, resize = picture.size, card["size"], card["resize"]
    way = Image.Resampling[card["interpolation"].upper()]
    x, y = int(resize * w / min(w, h)), int(resize * h / min(w, h))
    if max(x, y) > 16 * size:  # a very long picture
        side = min(w, h) * size / resize / 2
        return picture.resize(
            (size, size), way, (w / 2 - side, h / 2 - side, w / 2 + side, h / 2 + side)
        )
    left, top = round((x - size) / 2), round((y - size) / 2)
    return picture.resize((x, y), way).crop((left, top, left + size, top + size))


for path in sys.argv[2:]:
    pixels = np.asarray(shown(path), np.uint8)
    if not card["inside"]:
        pixels = (pixels / 255 - card["mean"]) / card["std"]
        order = ["RGB".index(channel) for channel in card["channels"]]
        pixels = pixels[:, :, order].transpose(2, 0, 1).astype(np.float32)
    (found,), *far = model.run(None, {"images": pixels[None]})
    unknown = found.max() < unknown_below
    if distance and unknown_below:
        unknown |= far[0][0] > distance["threshold"]
    best = " ".join(f" {labels[i]} {found[i]:.1%}" for i in (-found).argsort(kind="stable")[:3])
    print(f"{path} {' unknown' if unknown else best}")

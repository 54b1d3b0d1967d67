"""HEIC, as phones write it, where the extra ``heic`` is installed.

The decoder is loaded with the first such photo: most people have none.
"""

from __future__ import annotations

from functools import cache

FORMAT = "HEIF"  # Pillow's name of it, whichever codec is inside


@cache
def can_decode() -> bool:
    """Whether HEIC photos can be decoded here; from then on Pillow opens them too."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    # Thumbnails and depth maps beside the photo are nobody's concern, and take memory.
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return True

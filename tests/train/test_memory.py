"""Memory of an online training does not grow with the number of images."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_peak_memory_is_the_same_for_ten_times_the_images(photos, backbone, tmp_path):
    peaks = []
    for copies in (20, 200):
        manifest = tmp_path / f"{copies}.csv"
        rows = [
            f"{path.relative_to(tmp_path)},{path.parent.name}\n"
            for path in sorted((photos / "train").glob("*/*.png"))
        ]
        manifest.write_text("path,label\n" + "".join(rows * copies))
        command = [
            *(sys.executable, "-m", "edgetransfer", "train", "--backbone", str(backbone)),
            *("--data", str(manifest), "--out", str(tmp_path / f"run{copies}"), "--online"),
            *("--epochs", "1", "--engine", "onnxruntime", "--json"),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        report = json.loads(result.stdout)
        assert report["n_train"] == 60 * copies
        peaks.append(report["peak_memory_bytes"])
    # 10,800 more images as float32 would take 132 MB; their names and labels take five.
    assert peaks[1] - peaks[0] < 20e6

"""The picture of a learning curve."""

import numpy as np
from PIL import Image

from policyscope.training.curve import draw


def grey(file):
    """How much of a picture's right half is shaded."""
    pixels = np.asarray(Image.open(file).convert("RGB"))
    right = pixels[:, pixels.shape[1] // 2 :].astype(int)
    return np.mean((np.ptp(right, axis=2) < 6) & (right.min(axis=2) > 210) & (right.max(axis=2) < 245))


def test_steps_without_a_hundred_games_are_shaded_and_not_cut_off(tmp_path):
    curve = tmp_path / "curve.csv"
    curve.write_text("step,seconds,games,return\n1000,1,100,5\n2000,2,100,6\n3000,3,20,6.5\n4000,4,40,6.7\n")
    draw(curve, tmp_path / "whole.png")
    curve.write_text("step,seconds,games,return\n1000,1,100,5\n2000,2,100,6\n3000,3,20,\n4000,4,40,nan\n")
    draw(curve, tmp_path / "open.png")
    assert grey(tmp_path / "whole.png") < 0.1 < 0.5 < grey(tmp_path / "open.png")


def test_a_curve_without_a_return_is_still_a_picture(tmp_path):
    curve = tmp_path / "curve.csv"
    curve.write_text("step,seconds,games,return\n1000,1,0,\n")
    draw(curve, tmp_path / "none.png")
    assert Image.open(tmp_path / "none.png").width > 500

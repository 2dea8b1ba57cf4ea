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
    begun = "step,seconds,games,return\n1000,1,20,5\n2000,2,100,6\n"
    curve.write_text(begun + "3000,3,100,6.5\n4000,4,100,6.7\n")
    draw(curve, tmp_path / "whole.png")
    for after in ("3000,3,20,6.5\n4000,4,40,6.7\n", "3000,3,20,\n4000,4,40,nan\n"):
        curve.write_text(begun + after)
        draw(curve, tmp_path / "open.png")
        assert grey(tmp_path / "whole.png") < 0.1 < 0.5 < grey(tmp_path / "open.png")


def blue(file):
    """Share of blue pixels."""
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    return np.mean((pixels[..., 2] > 180) & (pixels[..., 0] < 120))


def test_means_of_few_games_are_dotted(tmp_path):
    curve = tmp_path / "curve.csv"
    drawn = {}
    for games in (20, 100):
        curve.write_text("step,seconds,games,return\n" + "".join(f"{i},1,{games},{i}\n" for i in range(1, 9)))
        draw(curve, tmp_path / "curve.png")
        drawn[games] = blue(tmp_path / "curve.png")
    assert 0 < drawn[20] < 0.7 * drawn[100]


def test_a_curve_without_a_return_is_still_a_picture(tmp_path):
    curve = tmp_path / "curve.csv"
    curve.write_text("step,seconds,games,return\n1000,1,0,\n")
    draw(curve, tmp_path / "none.png")
    assert Image.open(tmp_path / "none.png").width > 500

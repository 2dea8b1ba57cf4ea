"""Findings as JSON and in a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.writing import Checkup, gravest, told, write_findings
from policyscope.errors import RunError
from policyscope.viewer.extras import extras_of

PICTURE = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
FINDINGS = [
    Finding("reach", "warning", Where("network", stream="value"), "1", "a", numbers={"norm": float("nan")}),
    Finding("blind_region", "note", Where("network", region="all rows"), "2", "b", picture=PICTURE),
]
CHECKUP = Checkup("zoo:x", "sha256:0", "breakout", "greedy", 100, 0, ("reach", "blind_region"), 1.234)


def test_the_viewer_reads_findings_and_their_pictures_back(tmp_path: Path) -> None:
    pictures = write_findings(tmp_path, FINDINGS)
    assert pictures == [None, "figures/finding-2-blind_region.png"]
    extras = extras_of(tmp_path)
    assert [(f["rule"], f["sure"], f["picture"]) for f in extras.findings] == [
        ("reach", "likely", None),
        ("blind_region", "likely", "figures/finding-2-blind_region.png"),
    ]
    assert [figure["title"] for figure in extras.figures] == ["finding 2 blind region"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / str(pictures[1]))), PICTURE)


def test_earlier_findings_go_with_their_pictures_and_other_figures_stay(tmp_path: Path) -> None:
    write_findings(tmp_path, FINDINGS)
    (tmp_path / "figures" / "curve.png").write_bytes(b"")
    write_findings(tmp_path, FINDINGS[:1])
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["curve.png"]
    assert len(json.loads((tmp_path / "findings.json").read_text())) == 1


def test_json_is_strict_and_says_what_is_gravest() -> None:
    values = json.loads(json.dumps(told(CHECKUP, FINDINGS), allow_nan=False))
    assert (values["gravest"], values["seconds"], values["rules"]) == ("warning", 1.23, ["reach", "blind_region"])
    assert values["findings"][0]["numbers"] == {"norm": None}
    assert values["findings"][0]["place"] == {"part": "network", "stream": "value"}
    assert gravest([]) is None


def test_a_folder_that_cannot_be_written_is_the_user_s_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        write_findings(tmp_path / "file", FINDINGS)

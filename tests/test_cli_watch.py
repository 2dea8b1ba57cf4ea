"""``policyscope watch``: what it shows of a training's folder, and with which status it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from policyscope.cli import main
from policyscope.cli.watch import sparkline

GRAVE = {
    "rule": "ends-not-masked",
    "severity": "grave",
    "sure": "certain",
    "where": "training, targets",
    "evidence": "of 5 transitions 5 are wrong",
    "advice": "mask them",
    "first": 2_000,
    "last": 9_000,
}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [{"step": step, "watch/epsilon": 1 - step / 10_000, "watch/planned": 5_000.0} for step in (1_000, 5_000)]
    (folder / "watch.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "findings.json").write_text("[]")
    return folder


def watched(capsys, *words):
    status = 0
    try:
        main(["watch", *map(str, words)])
    except SystemExit as end:
        status = end.code
    heard = capsys.readouterr()
    return status, heard.out, heard.err


def test_a_healthy_training_ends_well(run, capsys):
    status, out, _ = watched(capsys, run, "--once")
    assert status == 0
    assert "step 5,000 of 5,000" in out
    assert "nothing was found to be wrong" in out
    assert "█▁" in out


def test_a_grave_finding_is_shown_with_its_step_and_the_status_says_so(run, capsys):
    (run / "findings.json").write_text(json.dumps([GRAVE]))
    status, out, _ = watched(capsys, run)  # it is done, so that nothing is waited for
    assert status == 1
    assert "ends-not-masked" in out
    assert "step 2,000" in out
    assert "try: mask them" in out


@pytest.mark.parametrize(("findings", "status"), [([], 0), ([GRAVE], 1)])
def test_a_reader_that_goes_away_does_not_change_the_status(run, findings, status):
    (run / "findings.json").write_text(json.dumps(findings))
    words = [sys.executable, "-m", "policyscope.cli", "watch", str(run), "--once"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == status


def test_a_training_that_goes_on_is_followed_until_nothing_is_written(run, capsys):
    (run / "watch.jsonl").write_text(json.dumps({"step": 1_000, "watch/planned": 5_000.0}) + "\n")
    (run / "findings.json").write_text(json.dumps([GRAVE | {"severity": "warning"}]))
    status, out, _ = watched(capsys, run, "--every", "0.01", "--patience", "0.05")
    assert status == 0
    assert out.count("mask them") == 2  # when it was found, and at the end


def test_recognition_is_shown_with_the_step_at_which_it_rises(run, capsys):
    rows = ["step,recognition/q/gradient", *(f"{step},{score}" for step, score in [(1, 1.0), (2, 1.9), (3, 2.0)])]
    (run / "saliency.csv").write_text("\n".join(rows) + "\n")
    (run / "recognition.json").write_text(json.dumps({"recognition/q/gradient": {"mean": 1.0, "spread": 0.1}}))
    _, out, _ = watched(capsys, run, "--once")
    assert "recognition, q/gradient" in out
    assert "from step 2" in out


def test_a_folder_that_is_none_or_no_training_is_the_users_mistake(tmp_path, capsys):
    status, _, err = watched(capsys, tmp_path / "none", "--once")
    assert status == 2
    assert "there is no folder" in err
    status, _, err = watched(capsys, tmp_path, "--once")
    assert status == 2
    assert "holds no training" in err


def test_a_sparkline_goes_from_the_least_to_the_greatest():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5]) == "▁▁"
    assert len(sparkline(range(1_000))) == 32

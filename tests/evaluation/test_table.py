"""Tables in the forms that people want them in."""

import csv
import json

from policyscope.evaluation.table import Table, write_tables

TABLE = Table(
    "A title, of x", ("method", "mean"), [["grad|cam", 0.123456], ["none", None], ["text", "1 [0, 2] *"]], "Note."
)


def test_a_table_is_the_same_in_all_forms(tmp_path):
    write_tables(tmp_path, [TABLE])
    place = tmp_path / "tables"
    assert {path.name for path in place.iterdir()} == {f"a-title-of-x.{end}" for end in ("csv", "md", "json")}
    rows = list(csv.reader((place / "a-title-of-x.csv").open()))
    assert rows == [["method", "mean"], ["grad|cam", "0.123456"], ["none", ""], ["text", "1 [0, 2] *"]]
    told = json.loads((place / "a-title-of-x.json").read_text())
    assert told["rows"] == [["grad|cam", 0.1235], ["none", None], ["text", "1 [0, 2] *"]]
    shown = (place / "a-title-of-x.md").read_text()
    assert "| grad\\|cam | 0.123 |" in shown
    assert "| none | - |" in shown
    assert shown.endswith("Note.\n")


def test_tables_keep_their_order_and_those_for_programs_are_csv_alone(tmp_path):
    write_tables(tmp_path, [TABLE, Table("all", ("x",), [[1]], read=False), Table("a last one", ("x",), [[2]])])
    place = tmp_path / "tables"
    assert {path.name for path in place.glob("all.*")} == {"all.csv"}
    assert [json.loads((place / f"{name}.json").read_text())["place"] for name in (TABLE.slug, "a-last-one")] == [0, 2]


def test_what_is_no_number_is_nothing():
    assert Table("t", ("x",), [[float("nan")]]).plain()["rows"] == [[None]]

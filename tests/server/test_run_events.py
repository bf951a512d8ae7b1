"""Events of a run as records: cheap whatever an answer holds, and without secrets wherever they stand."""

from __future__ import annotations

import json
import time

import pytest

from pinjra.core.events import FinalAnswer, ModelDelta, OutputText, ToolCalled
from pinjra.core.redaction import MASK
from pinjra.server.runs.events import record_of
from pinjra.server.runs.note import RunNote
from pinjra.server.runs.run import AgentRun

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

SECRET = "a-very-secret-value-of-this-process"
WHO = {"run_id": "r", "agent": "a"}


def test_cells_of_a_table_that_take_long_to_write_are_left_out():
    frame = pd.DataFrame({"a": [1.5, np.zeros((2,) * 24, np.int8)], "b": ["x", (1 << 14_000,) * 30_000]})
    table = record_of(FinalAnswer(**WHO, value=frame), lambda _: {})["table"]
    assert table == {"columns": ["a", "b"], "rows": [["0", "1.5", "x"], ["1", "…", "…"]], "total": 2}


def test_a_column_with_a_row_of_that_name_is_no_table():
    assert record_of(FinalAnswer(**WHO, value=pd.Series([1], ["columns"])), lambda _: {})["table"] is None


def test_secrets_are_masked_in_tables_names_and_what_is_left_of_long_texts(monkeypatch):
    monkeypatch.setenv("PINJRA_TEST_TOKEN", SECRET)
    frame = pd.DataFrame({SECRET: [SECRET], "long": ["y" * 480 + SECRET]}, index=[SECRET])
    for event in (
        FinalAnswer(**WHO, value=frame),
        FinalAnswer(**WHO, value={SECRET: [SECRET]}),
        *(FinalAnswer(**WHO, value="y" * (133_333 - kept) + SECRET + "z" * 100_000) for kept in range(8, 30)),
        ToolCalled(**WHO, call="1", name="t", arguments={"x": SECRET, SECRET: [SECRET]}),
    ):
        said = json.dumps(record_of(event, lambda _: {}))
        assert not any(SECRET[at : at + 8] in said for at in range(len(SECRET) - 7))
        assert MASK in said


def test_a_secret_that_comes_in_pieces_is_masked_and_text_is_shown_as_it_comes(monkeypatch, tmp_path):
    monkeypatch.setenv("PINJRA_TEST_TOKEN", SECRET)
    run = AgentRun(tmp_path, RunNote(id="r", tenant="t", agent="a", task=""))
    run.log.open()
    text = f"A first line.\nIt says: {SECRET}, and then goes on for some words more"
    # this process may have to wait between two pieces
    monkeypatch.setattr("pinjra.server.runs.run._HOLD_SECONDS", 300)
    for at in range(0, len(text), 3):
        run.take(ModelDelta(**WHO, step=1, text=text[at : at + 3]))
        time.sleep(0.01)  # some pieces a record
    until(lambda: shown(run).endswith("goes on for "))
    run.take(OutputText(**WHO, step=1, stream="stdout", text=""))
    assert shown(run) == text.replace(SECRET, MASK)
    assert len(records(run)) > 2
    monkeypatch.setattr("pinjra.server.runs.run._HOLD_SECONDS", 0.01)
    run.take(OutputText(**WHO, step=1, stream="stdout", text="half a line"))
    until(lambda: shown(run).endswith("half a line"))  # nothing comes: the last words do not wait for ever


def records(run):
    return [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]


def shown(run):
    return "".join(record.get("text", "") for record in records(run))


def until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_cell_is_masked_before_it_is_cut():
    frame = pd.DataFrame({"a": ["#" * 470 + " postgres://other:correcthorse9battery@db/x"]})
    assert "correcthorse" not in json.dumps(record_of(FinalAnswer(**WHO, value=frame), lambda _: {}))

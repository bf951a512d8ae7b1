"""A session's variables over HTTP: what the guest tells of them, a table a page at a time."""

from __future__ import annotations

import pytest


@pytest.fixture
def session(alice):
    session = (
        f"/v1/sessions/{alice.post('/v1/sessions', json={'authorized_imports': ['pandas']}).json()['id']}"
    )
    yield session
    alice.delete(session)


def run(client, session, code):
    done = client.post(f"{session}/runs", json={"code": code}).json()
    assert done["error"] is None, done["error"]
    return done["value"]


def test_variables_have_name_type_size_and_a_short_text(alice, session):
    run(alice, session, "import math\nn = 3\ntext = 'a' * 1000\n_hidden = 1\ndef double(x): return 2 * x")
    found = {each["name"]: each for each in alice.get(f"{session}/variables").json()["variables"]}
    assert [*found] == ["n", "text", "double"]
    assert (found["text"]["type"], found["text"]["size"], len(found["text"]["text"])) == ("str", "1000", 300)


def test_looking_leaves_nothing_behind_in_the_session(alice, session):
    before = run(alice, session, "sorted(globals())")
    alice.get(f"{session}/variables")
    assert run(alice, session, "sorted(globals())") == before


def test_a_value_whose_repr_fails_or_never_ends_is_told_of(alice, session):
    run(alice, session, "class Bad:\n    def __repr__(self): raise ValueError\nbad = Bad()")
    found = alice.get(f"{session}/variables").json()["variables"]
    assert {
        "name": "bad",
        "type": "Bad",
        "size": "",
        "text": "<its repr raised ValueError>",
        "is_table": False,
    } in found
    run(
        alice,
        session,
        "class Endless:\n    def __repr__(self):\n        while True: pass\nendless = Endless()",
    )
    answer = alice.get(f"{session}/variables")
    assert (answer.status_code, "cannot tell" in answer.text) == (400, True)
    assert run(alice, session, "1 + 1") == 2


def test_a_table_comes_a_page_at_a_time(alice, session):
    run(alice, session, "import pandas as pd\ntable = pd.DataFrame({'a': range(1000), 'b': 'x'})")
    page = alice.get(f"{session}/variables/table", params={"from": 990, "rows": 20}).json()
    assert (page["columns"], page["total"], len(page["rows"])) == (["a", "b"], 1000, 10)
    assert page["rows"][0] == ["990", "990", "x"]


@pytest.mark.parametrize("name", ["nothing", "a b", "__import__('os')", "table;x=1", "é́"])
def test_what_is_no_table_is_an_error_and_no_code(alice, session, name):
    assert alice.get(f"{session}/variables/{name}").status_code in (400, 404)
    assert alice.get(f"{session}/variables/x", params={"from": "0:1"}).status_code == 400

"""The native API as a client uses it: sessions, runs, files, tools, forks."""

from __future__ import annotations

import json
import socket as sockets
import threading
from urllib.parse import urlsplit

import pytest

from websockets.exceptions import ConnectionClosed  # isort: skip
from websockets.sync.client import connect  # isort: skip

from .conftest import ALICE


def run(client, session, code, **more):
    answer = client.post(f"{session}/runs", json={"code": code, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_variables_live_on_between_runs_and_values_are_json(alice, session):
    assert run(alice, session, "x = {'a': [1, 2.5, None, True]}")["error"] is None
    assert run(alice, session, "x")["value"] == {"a": [1, 2.5, None, True]}


def test_values_that_json_does_not_have_are_still_valid_json(alice, session):
    value = run(alice, session, "[float('nan'), float('inf'), b'ab', {1, 2}, 10**30, object]")["value"]
    assert value[:4] == ["NaN", "Infinity", "YWI=", [1, 2]]
    assert value[4] == 10**30


def test_a_failing_guest_is_a_value_with_kind_type_line_and_message(alice, session):
    done = run(alice, session, "print('before')\n1/0")
    assert (done["stdout"], done["error"]["type"], done["error"]["line"]) == (
        "before\n",
        "ZeroDivisionError",
        2,
    )


def test_a_stream_tells_output_as_it_comes_and_the_result_last(alice, session):
    with alice.stream(
        "POST", f"{session}/runs", json={"code": "print('one')\nprint('two')\n3", "stream": True}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    events = [
        dict(line.split(": ", 1) for line in part.split("\n"))
        for part in text.replace("\r", "").strip().split("\n\n")
    ]
    assert "".join(json.loads(e["data"])["text"] for e in events if e["event"] == "output") == "one\ntwo\n"
    assert (events[-1]["event"], json.loads(events[-1]["data"])["value"]) == ("finished", 3)


def test_files_go_in_and_out_as_attachments(alice, session):
    assert alice.put(f"{session}/files/in/data.csv", content=b"a,b\n1,2\n").status_code == 204
    assert alice.get(f"{session}/files").json() == {"files": {"in/data.csv": 8}}
    answer = alice.get(f"{session}/files/in/data.csv")
    assert (answer.content, answer.headers["content-disposition"]) == (b"a,b\n1,2\n", "attachment")
    assert alice.get(f"{session}/files/nothing").status_code == 404


def test_a_fork_has_the_variables_and_goes_its_own_way(alice, session):
    run(alice, session, "x = 1")
    copy = alice.post(f"{session}/fork").headers["Location"]
    run(alice, copy, "x = 2")
    assert (run(alice, session, "x")["value"], run(alice, copy, "x")["value"]) == (1, 2)
    assert alice.delete(copy).status_code == 204
    assert alice.get(copy).status_code == 404


def test_an_interrupt_stops_the_run_in_progress(alice, session, service):
    begun = threading.Event()
    found = {}

    def work():
        with alice.stream(
            "POST", f"{session}/runs", json={"code": "print('on')\nwhile True: pass", "stream": True}
        ) as answer:
            text = ""
            for piece in answer.iter_text():
                text += piece
                if "on" in piece:
                    begun.set()
            found["text"] = text

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(120)
    assert alice.post(f"{session}/interrupt").status_code == 204
    thread.join(300)
    assert '"cause": "interrupt"' in found["text"]


def test_a_clients_function_is_a_tool_of_its_session(alice, session, service):
    address = f"ws{service[4:]}{session}/tools"
    with connect(address, additional_headers={"Authorization": f"Bearer {ALICE}"}) as socket:
        socket.send(json.dumps({"tools": {"price": {"doc": "The price of an article."}, "fail": {}}}))
        assert json.loads(socket.recv(30)) == {"ready": ["fail", "price"]}
        calls = []

        def answer():
            for _ in range(2):
                call = json.loads(socket.recv(30))
                calls.append(call)
                reply = {"value": 42} if call["name"] == "price" else {"error": "sold out"}
                socket.send(json.dumps({"call": call["call"], **reply}))

        thread = threading.Thread(target=answer)
        thread.start()
        code = "a = price('tea', size=3)\ntry:\n    fail()\nexcept Exception as e:\n    b = str(e)\n(a, b)"
        value = run(alice, session, code)["value"]
        thread.join(300)
    assert (value[0], "sold out" in value[1]) == (42, True)
    assert (calls[0]["name"], calls[0]["args"], calls[0]["kwargs"]) == ("price", ["tea"], {"size": 3})


def test_a_tool_whose_client_has_left_says_so(alice, session, service):
    address = f"ws{service[4:]}{session}/tools"
    with connect(address, additional_headers={"Authorization": f"Bearer {ALICE}"}) as socket:
        socket.send(json.dumps({"tools": {"price": {}}}))
        assert json.loads(socket.recv(60)) == {"ready": ["price"]}
    for _ in range(2):  # the first may be asked before the service has seen that the client left
        assert (
            run(alice, session, "price('tea')")["error"]["message"] == "the client that has this tool is gone"
        )


def test_a_session_has_so_many_tools_at_most_whoever_grants_them(alice, session, service):
    address = f"ws{service[4:]}{session}/tools"
    for part in range(3):
        with connect(address, additional_headers={"Authorization": f"Bearer {ALICE}"}) as socket:
            socket.send(json.dumps({"tools": {f"t{part}_{number}": {"doc": "d"} for number in range(400)}}))
            if part < 2:
                assert len(json.loads(socket.recv(60))["ready"]) == 400
                continue
            with pytest.raises(ConnectionClosed, match="a session has at most 1000 tools"):
                socket.recv(60)
    assert run(alice, session, "1")["value"] == 1


def test_an_error_of_a_stream_that_has_begun_is_its_last_event(alice, session):
    wanted = {"code": "1", "language": "cobol", "stream": True}
    text = alice.post(f"{session}/runs", json=wanted).text.replace("\r", "").strip()
    event, data = (line.split(": ", 1)[1] for line in text.split("\n"))
    assert (event, json.loads(data)["kind"]) == ("error", "bad_request")
    assert run(alice, session, "1")["value"] == 1


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"codex": "1"}, "code"),
        ({"code": 5}, "code"),
        ({"code": "1", "wall_seconds": -1}, "wall_seconds"),
    ],
)
def test_a_wrong_body_is_answered_with_the_field(alice, session, body, word):
    answer = alice.post(f"{session}/runs", json=body)
    assert (answer.status_code, word in answer.json()["error"]["message"]) == (400, True)
    assert run(alice, session, "1")["value"] == 1


def test_a_program_has_its_status_and_both_streams(alice):
    path = alice.post("/v1/sessions", json={"programs": ["sh", "cat"]}).headers["Location"]
    words = {"argv": ["sh", "-c", "cat; echo bad >&2; exit 3"], "stdin": "given"}
    assert alice.post(f"{path}/programs", json=words).json() == {
        "returncode": 3,
        "stdout": "given",
        "stderr": "bad\n",
    }
    late = alice.post(
        f"{path}/programs", json={"argv": ["sh", "-c", "while :; do :; done"], "timeout_seconds": 0.2}
    )
    assert late.json()["returncode"] is None
    alice.delete(path)


def test_a_program_is_refused_where_none_was_allowed(alice, session):
    assert alice.post(f"{session}/programs", json={"argv": ["sh"]}).status_code == 400


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (r"'a\ud800'", "a\\ud800"),
        (r"{'\ud800': [1, 'x']}", {"\\ud800": [1, "x"]}),
        ("{frozenset([1]): 2}", {"frozenset({1})": 2}),
        ("[16**5000, 7]", [{"type": "int", "repr": "0x1" + "0" * 5000}, 7]),
        (r"import pathlib; pathlib.Path('/\udcff')", {"type": "PosixPath", "repr": r"PosixPath('/\udcff')"}),
        ("import pandas; pandas.Series([pandas.NaT, 1])", {"0": {"type": "NaTType", "repr": "NaT"}, "1": 1}),
    ],
)
def test_what_json_cannot_say_is_described_and_what_stands_beside_it_is_said(alice, code, value):
    path = alice.post("/v1/sessions", json={"guard": False, "authorized_imports": ["*"]}).headers["Location"]
    answer = alice.post(f"{path}/runs", json={"code": code})
    streamed = alice.post(f"{path}/runs", json={"code": code, "stream": True}).text
    alice.delete(path)
    assert (answer.status_code, answer.json()["value"]) == (200, value)
    assert "event: finished" in streamed


def test_a_file_whose_name_is_no_text_is_listed_with_the_run(alice):
    path = alice.post("/v1/sessions", json={"guard": False}).headers["Location"]
    answer = alice.post(
        f"{path}/runs", json={"code": r"import os; os.mkdir(b'd\xff'); open(b'd\xff/x', 'w').write('y')"}
    )
    alice.delete(path)
    assert (answer.status_code, answer.json()["files"]) == (200, {"d\\udcff/x": 1})


@pytest.mark.parametrize(
    "said",
    [b"\0\1", '{"call": []}', '{"call": {}, "value": 1}', "[]", "x", json.dumps({"tools": {"é!" * 200: {}}})],
)
def test_a_client_that_says_something_else_on_its_socket_of_tools_loses_that_socket_at_most(
    alice, session, service, said
):
    address = f"ws{service[4:]}{session}/tools"
    with connect(address, additional_headers={"Authorization": f"Bearer {ALICE}"}) as socket:
        try:  # the service may have closed it before the second message
            socket.send(said)
            socket.send(json.dumps({"tools": {"price": {}}}))
            assert json.loads(socket.recv(60)) == {"ready": ["price"]}
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 1003
    assert run(alice, session, "1")["value"] == 1


@pytest.mark.parametrize("opening", ["/v1/streams", "/sandboxes"])
def test_what_another_api_speaks_to_is_no_session_for_runs_and_can_be_closed(alice, opening):
    answer = alice.post(opening, json={})
    if answer.status_code == 501:
        pytest.skip("E2B's server is not installed")
    path = f"/v1/sessions/{answer.json().get('id') or answer.json()['sandboxID']}"
    asked = [
        ("GET", "", None), ("POST", "/runs", {"code": "1"}), ("POST", "/programs", {"argv": ["ls"]}), ("POST", "/fork", None),
        ("POST", "/reset", None), ("POST", "/interrupt", None), ("PUT", "/variables", {"variables": {}}),
        ("GET", "/files", None), ("GET", "/files/x", None), ("PUT", "/files/x", {}),
        ("GET", "/variables", None), ("GET", "/variables/x", None),
    ]  # fmt: skip
    for method, more, body in asked:
        assert alice.request(method, path + more, json=body).status_code == 404, (method, more)
    assert alice.delete(path).status_code == 204
    assert alice.delete(path).status_code == 404


def test_an_upload_that_breaks_off_is_nobodys_fault(alice, session, service):
    host, port = urlsplit(service).netloc.split(":")
    head = f"PUT {session}/files/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ALICE}\r\nContent-Length: 99\r\n\r\nhalf"
    for _ in range(5):
        with sockets.create_connection((host, int(port)), timeout=60) as raw:
            raw.sendall(head.encode())
    assert alice.get(f"{session}/files").json() == {"files": {}}


@pytest.mark.parametrize("name", ["operations", "tool_calls", "memory_bytes", "wall_seconds"])
def test_a_limit_with_thousands_of_digits_is_the_clients_mistake(alice, name):
    body = f'{{"limits": {{"{name}": {"9" * 4000}}}}}'
    assert alice.post("/v1/sessions", content=body).status_code == 400

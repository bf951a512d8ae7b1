"""SandboxFusion's API, by its own client and by the requests that trainers send."""

from __future__ import annotations

import base64
import shutil

import pytest

from .conftest import ALICE

client = pytest.importorskip("sandbox_fusion")


def run(alice, code, language="python", **more):
    answer = alice.post("/run_code", json={"code": code, "language": language, **more})
    assert answer.status_code == 200, answer.text
    return client.RunCodeResponse(**answer.json())


def installed(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def test_the_real_client_runs_code(service, monkeypatch):
    import requests

    # The client sends no token; an operator puts it into a proxy or serves on loopback without tenants.
    send = requests.Session.request
    monkeypatch.setattr(
        requests.Session,
        "request",
        lambda self, *a, **k: send(self, *a, **{**k, "headers": {"Authorization": f"Bearer {ALICE}"}}),
    )
    done = client.run_code(
        client.RunCodeRequest(code="print(input() * 2)", language="python", stdin="ab"), endpoint=service
    )
    assert (done.status, done.run_result.stdout, done.run_result.return_code) == ("Success", "abab\n", 0)
    cells = client.run_jupyter(
        client.RunJupyterRequest(cells=["a = 'x'", "a", "print(a)\n1/0"]), endpoint=service
    )
    assert [cell.stdout for cell in cells.cells] == ["", "", "x\n"]
    assert cells.cells[1].display == [{"text/plain": "'x'"}]
    assert cells.cells[2].error[0]["ename"] == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("code", "more", "status", "run_status", "returncode"),
    [
        ("print(1)", {}, "Success", "Finished", 0),
        ("import sys; sys.exit(3)", {}, "Failed", "Finished", 3),
        ("assert 1 == 2", {}, "Failed", "Finished", 1),
        ("int a = 1", {}, "Failed", "Finished", 1),
        ("import time; time.sleep(30)", {"run_timeout": 0.5}, "Failed", "TimeLimitExceeded", None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", {}, "Failed", "Finished", -9),
    ],
)
def test_each_end_has_the_status_that_it_has_there(alice, code, more, status, run_status, returncode):
    done = run(alice, code, **more)
    assert (done.status, done.run_result.status, done.run_result.return_code) == (
        status,
        run_status,
        returncode,
    )


def test_files_go_in_and_out(alice):
    data = base64.b64encode(b"flag").decode()
    code = "open('out/a.txt' if 0 else 'a.txt', 'w').write(open('d/e/f').read().upper())"
    done = run(
        alice, code, files={"d/e/f": data, "none": None}, fetch_files=["a.txt", "missing", "../../etc/passwd"]
    )
    assert {name: base64.b64decode(text) for name, text in done.files.items()} == {"a.txt": b"FLAG"}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../b", ""])
def test_a_file_with_a_name_outside_is_refused(alice, name):
    answer = alice.post("/run_code", json={"code": "1", "language": "python", "files": {name: "eA=="}})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("language", "code", "output"),
    [
        pytest.param("bash", "read x; echo $((x + 1)); ls", "8\nmain.sh\n", marks=installed("bash")),
        pytest.param(
            "nodejs", "console.log(+require('fs').readFileSync(0) + 1)", "8\n", marks=installed("node")
        ),
        pytest.param(
            "cpp",
            "#include <iostream>\nint main(){int x;std::cin>>x;std::cout<<x+1<<std::endl;}",
            "8\n",
            marks=installed("g++"),
        ),
    ],
)
def test_other_languages_run_by_the_programs_of_the_machine(alice, language, code, output):
    done = run(alice, code, language, stdin="7", compile_timeout=60, run_timeout=30)
    assert (done.status, done.run_result.stdout) == ("Success", output)


@installed("g++")
def test_what_does_not_compile_has_no_run(alice):
    done = run(alice, "int main() { return ?; }", "cpp", compile_timeout=60)
    assert (done.status, done.compile_result.return_code, done.run_result) == ("Failed", 1, None)


def test_a_language_that_is_not_offered_is_named_with_those_that_are(alice):
    answer = alice.post("/run_code", json={"code": "1", "language": "cobol"})
    assert (answer.status_code, "python" in answer.json()["error"]["message"]) == (400, True)


def test_many_at_once_are_each_answered_right(alice):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: run(alice, f"print({i} ** 2)").run_result.stdout, range(100)))
    assert found == [f"{i * i}\n" for i in range(100)]

"""SandboxFusion's API, by its own client and by the requests that trainers send."""

from __future__ import annotations

import base64
import json
import re
import shutil

import pytest

from .conftest import ALICE

client = pytest.importorskip("sandbox_fusion")
requests = pytest.importorskip("requests")


def run(alice, code, language="python", **more):
    answer = alice.post("/run_code", json={"code": code, "language": language, **more})
    assert answer.status_code == 200, answer.text
    return client.RunCodeResponse(**answer.json())


def installed(program):
    found = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin")
    return pytest.mark.skipif(found is None, reason=f"{program} is not installed for all users")


def test_the_real_client_runs_code(service, monkeypatch):
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


def test_a_program_has_the_folders_that_images_have_and_leaves_nothing_in_them(alice):
    data = base64.b64encode(b"sauce").decode()
    code = (
        "import os\nfor at in ('/mnt', '/home', '/root', '/workspace', '/data', '/tmp'):\n"
        "    open(at + '/b', 'x').write(open('/mnt/given/a').read() + at)"
    )
    names = ["/mnt/b", "/home/b", "/root/b", "/workspace/b", "/data/b", "/tmp/b"]
    expected = {name: f"sauce{name.removesuffix('/b')}".encode() for name in names}
    for _ in range(2):  # "x" would fail if a file of the first one were there
        done = run(alice, code, files={"/mnt/given/a": data}, fetch_files=names)
        assert done.status == "Success", done.run_result.stderr
        assert {name: base64.b64decode(text) for name, text in done.files.items()} == expected


def test_cells_have_these_folders_too(alice):
    answer = alice.post(
        "/run_jupyter",
        json={
            "cells": ["open('/data/out', 'w').write(open('/mnt/d/in').read() * 2)"],
            "files": {"/mnt/d/in": base64.b64encode(b"in").decode()},
            "fetch_files": ["/data/out", "/mnt/missing"],
        },
    ).json()
    assert {name: base64.b64decode(text) for name, text in answer["files"].items()} == {"/data/out": b"inin"}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "/mnt/../etc/x", "/mnt", "a/../../b", ""])
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
        pytest.param("perl", "print <STDIN> + 1, qq(\n)", "8\n", marks=installed("perl")),
        pytest.param("lua", "print(io.read('n') + 1)", "8\n", marks=installed("lua")),
        pytest.param("ruby", "puts gets.to_i + 1", "8\n", marks=installed("ruby")),
        pytest.param(
            "java",
            "public class Main { public static void main(String[] a) {"
            " System.out.println(new java.util.Scanner(System.in).nextInt() + 1); } }",
            "8\n",
            marks=installed("javac"),
        ),
        pytest.param(
            "ts",
            "import {readFileSync} from 'fs'; const x: number = +readFileSync(0); console.log(x + 1)",
            "8\n",
            marks=installed("tsx"),
        ),
        pytest.param("R", "cat(scan('stdin', quiet=TRUE) + 1, '\\n')", "8 \n", marks=installed("Rscript")),
        pytest.param(
            "go",
            'package main\nimport "fmt"\nfunc main() { var x int; fmt.Scan(&x); fmt.Println(x + 1) }',
            "8\n",
            marks=installed("go"),
        ),
        pytest.param(
            "rust",
            "use std::io; fn main() { let mut x = String::new(); io::stdin().read_line(&mut x).unwrap();"
            ' println!("{}", x.parse::<i32>().unwrap() + 1); }',
            "8\n",
            marks=installed("rustc"),
        ),
        pytest.param("php", "echo intval(fgets(STDIN)) + 1, PHP_EOL;", "8\n", marks=installed("php")),
    ],
)
def test_other_languages_run_by_the_programs_of_the_machine(alice, language, code, output):
    done = run(alice, code, language, stdin="7", compile_timeout=60, run_timeout=30)
    assert (done.status, done.run_result.stdout) == ("Success", output)


@installed("g++")
def test_what_does_not_compile_has_no_run(alice):
    done = run(alice, "int main() { return ?; }", "cpp", compile_timeout=60)
    assert (done.status, done.compile_result.return_code, done.run_result) == ("Failed", 1, None)


def used(client):
    text = client.get("/metrics").text
    return float(
        re.search(
            r'pinjra_run_cpu_seconds_total\{tenant="bob"\} (\S+)',
            text + '\npinjra_run_cpu_seconds_total{tenant="bob"} 0',
        )[1]
    )


@installed("g++")
def test_a_tenant_pays_for_what_compiles(bob):
    before = used(bob)
    run(bob, "#include <iostream>\nint main() { std::cout << 1; }", "cpp", run_timeout=60)
    # a compiler of C++ that has read <iostream> has used more, and the program less
    assert used(bob) - before > 0.05


def test_a_language_that_is_not_offered_is_named_with_those_that_are(alice):
    answer = alice.post("/run_code", json={"code": "1", "language": "cobol"})
    assert (answer.status_code, "python" in answer.json()["error"]["message"]) == (400, True)


def test_pytest_is_offered_where_it_works_and_nowhere_else(alice):
    listed = alice.post("/run_code", json={"code": "1", "language": "cobol"}).json()["error"]["message"]
    answer = alice.post("/run_code", json={"code": "def test_it():\n    assert True", "language": "pytest"})
    works = answer.status_code == 200 and "1 passed" in answer.json()["run_result"]["stdout"]
    refused = answer.status_code == 400 and "pytest is not installed here" in answer.text
    assert (works, refused) == (("pytest" in listed), ("pytest" not in listed))


def test_many_at_once_are_each_answered_right(alice):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: run(alice, f"print({i} ** 2)").run_result.stdout, range(100)))
    assert found == [f"{i * i}\n" for i in range(100)]


# ---------------------------------------------------------------- as verl asks


def verl(service, code, stdin, language="python", timeout=10, memory_mib=1024):
    """What `verl.utils.reward_score.sandbox_fusion.utils.call_sandbox_api` sends, byte for byte, and what it reads."""
    payload = json.dumps(
        {
            "compile_timeout": timeout,
            "run_timeout": timeout,
            "code": code,
            "stdin": stdin,
            "memory_limit_MB": memory_mib,
            "language": language,
            "files": {},
            "fetch_files": [],
        }
    )
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    with requests.Session() as session:
        session.headers["Authorization"] = (
            f"Bearer {ALICE}"  # verl sends none: a proxy does, or loopback needs none
        )
        answer = session.post(f"{service}/run_code", headers=headers, data=payload, timeout=timeout * 2 + 10)
    answer.raise_for_status()
    return answer.json()


# How verl wraps a solution that is a function: each line of the input is one argument, the result is printed as JSON.
VERL_FUNCTION = """
import traceback
from string import *
from re import *
from datetime import *
from collections import *
from heapq import *
from bisect import *
from copy import *
from math import *
from random import *
from statistics import *
from itertools import *
from functools import *
from operator import *
from io import *
from sys import *
from json import *
from builtins import *
from typing import *
import sys
import json

{solution}

def _execute():
    raw = sys.stdin.read()
    args = [json.loads(line) for line in raw.split('\\n')] if raw.strip() else []
    target = globals().get("{name}") or getattr(globals()["Solution"](), "{name}")
    return target(*args)

if __name__ == '__main__':
    print(json.dumps(_execute()))
"""


@pytest.mark.parametrize(
    ("code", "stdin", "api", "run_status", "code_or_output"),
    [
        ("n = int(input())\nprint(n * n)\n\n", "12", "Success", "Finished", "144\n"),
        ("print('none')\n\n", None, "Success", "Finished", "none\n"),
        ("raise ValueError('wrong')\n\n", "", "Failed", "Finished", 1),
        ("while True: pass\n\n", "", "Failed", "TimeLimitExceeded", None),
        ("x = bytearray(3 << 30)\n\n", "", "Failed", "Finished", 1),
        (VERL_FUNCTION.format(solution="def add(a, b):\n    return [a + b]", name="add"), "1\n2", "Success", "Finished", "[3]\n"),
        (VERL_FUNCTION.format(solution="class Solution:\n    def up(self, s):\n        return s.upper()", name="up"), '"ab"',
         "Success", "Finished", '"AB"\n'),
    ],
    ids=["right", "no input", "exception", "endless", "memory", "function", "method"],
)  # fmt: skip
def test_the_requests_of_verl_are_answered_as_it_reads_them(
    service, code, stdin, api, run_status, code_or_output
):
    answer = verl(service, code, stdin, timeout=2 if "while" in code else 10)
    if answer["status"] == "SandboxError" and "while" in code:
        # a busy machine's answer, before the client has gone
        assert "too much else to do" in answer["message"]
        return
    run = answer["run_result"]
    assert (answer["status"], run["status"], answer["compile_result"]) == (api, run_status, None)
    found = run["stdout"] if api == "Success" else run["return_code"]
    assert found == code_or_output
    assert isinstance(run["execution_time"], float)


@installed("g++")
def test_a_compile_error_is_one_for_verl(service):
    answer = verl(service, "int main() { return ?; }\n\n", "", "cpp", timeout=60)
    built = answer["compile_result"]
    # Its rule: Failed, and the build is Error, TimeLimitExceeded, or Finished with another code than 0.
    assert (answer["status"], built["status"]) == ("Failed", "Finished")
    assert built["return_code"] != 0
    assert "error" in built["stderr"]


def test_cells_share_variables_and_an_error_does_not_end_them(alice):
    answer = alice.post(
        "/run_jupyter",
        json={"cells": ["a = 'x'", "import sys\nsys.stderr.write('bad\\n')", "assert False", "print(a)"]},
    ).json()
    cells = answer["cells"]
    assert (answer["status"], answer["driver"]["status"]) == ("Success", "Finished")
    assert [cell["stdout"] for cell in cells] == ["", "", "", "x\n"]
    assert (cells[1]["stderr"], cells[2]["error"][0]["ename"]) == ("bad\n", "AssertionError")


def test_a_cell_over_its_time_ends_the_notebook(alice):
    answer = alice.post("/run_jupyter", json={"cells": ["while True: pass", "1"], "cell_timeout": 0.3}).json()
    assert (answer["status"], len(answer["cells"])) == ("Failed", 1)


def test_cells_read_files_and_their_files_are_fetched(alice):
    data = base64.b64encode(b"in").decode()
    answer = alice.post(
        "/run_jupyter",
        json={
            "cells": ["open('d/out', 'w').write(open('d/in').read() * 2)"],
            "files": {"d/in": data},
            "fetch_files": ["d/out", "missing"],
        },
    ).json()
    assert {name: base64.b64decode(text) for name, text in answer["files"].items()} == {"d/out": b"inin"}


def test_a_tenant_pays_for_all_runs_of_what_kills_itself(bob):
    before = used(bob)
    busy = "import os, time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nos.kill(os.getpid(), 9)"
    assert run(bob, busy).run_result.return_code == -9
    assert used(bob) - before > 5 * 0.2


def test_no_cell_runs_longer_than_its_tenants_runs_may(bob):
    body = {"cells": ["import time\ntime.sleep(8)\n'over'", "1"], "total_timeout": 3000}
    answer = bob.post("/run_jupyter", json=body).json()
    assert (answer["driver"]["status"], len(answer["cells"])) == ("TimeLimitExceeded", 1), answer


@pytest.mark.parametrize("name", ["cell_timeout", "total_timeout", "memory_limit_MB"])
@pytest.mark.parametrize("value", [True, "10"])
def test_a_number_is_no_truth_and_no_text(alice, name, value):
    answer = alice.post("/run_jupyter", json={"cells": [], name: value})
    assert answer.status_code == 400
    assert name in answer.text

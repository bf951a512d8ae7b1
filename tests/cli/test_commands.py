"""The command as a user calls it: output, exit status, one clear line for bad input."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ANSI = "\x1b["


def pinjra(*arguments, env=None, stdin="", **options):
    return subprocess.run(
        [sys.executable, "-m", "pinjra", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **(env or {})},
        **options,
    )


@pytest.fixture
def provider():
    """Give the environment for a model on loopback that streams the given answers, and the list of answers."""
    pytest.importorskip("openai")
    answers: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            pieces = [*(answers.pop(0).splitlines(keepends=True))]
            form = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            events = [
                {**form, "choices": [{"index": 0, "delta": {"content": p}, "finish_reason": None}]}
                for p in pieces
            ]
            events.append({**form, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            data = (
                "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + b"data: [DONE]\n\n"
            )
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    environment = {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
        "OPENAI_API_KEY": "zebra-1234",
    }
    yield environment, answers
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("code", "status", "stdout", "stderr"),
    [
        ("print('hi')\n1 + 1", 0, "hi\n2\n", ""),
        ("1 / 0", 1, "", "ZeroDivisionError: division by zero"),
        ("import os", 1, "", "import of os is not authorised"),
        ("x =", 1, "", "SyntaxError"),
        ("print('kept')\nwhile True: pass", 3, "kept\n", "time limit"),
    ],
)
def test_exec_tells_by_its_exit_status_how_the_program_ended(code, status, stdout, stderr):
    done = pinjra("exec", "-c", code, "--executor", "local", "--wall", "2")
    assert (done.returncode, done.stdout) == (status, stdout)
    assert stderr in done.stderr
    assert "Traceback (most recent call last)\n  File" not in done.stderr


SHOWS_ARGUMENTS = "import sys\nprint(sys.argv)"


def test_exec_reads_a_file_standard_input_and_authorised_imports(tmp_path):
    pytest.importorskip("numpy")
    program = tmp_path / "program.py"
    program.write_text("import numpy\nint(numpy.arange(4).sum())")
    assert pinjra("exec", str(program), "--executor", "local", "--imports", "numpy, json").stdout == "6\n"
    assert pinjra("exec", "-", "--executor", "local", stdin="'ünï'").stdout == "ünï\n"


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (["{program}", "a", "b c"], ["{program}", "a", "b c"]),
        (["{program}", "a", "--", "--loud"], ["{program}", "a", "--loud"]),
        (["--", "{program}", "-x"], ["{program}", "-x"]),
        (["-c", SHOWS_ARGUMENTS, "a"], ["-c", "a"]),
        (["-", "a"], ["-", "a"]),
    ],
)
def test_exec_gives_a_program_its_arguments(words, argv, tmp_path):
    program = tmp_path / "p.py"
    program.write_text(SHOWS_ARGUMENTS)
    words, argv = ([word.format(program=program) for word in part] for part in (words, argv))
    done = pinjra("exec", "--executor", "local", "--imports", "sys", *words, stdin=SHOWS_ARGUMENTS)
    assert (done.stdout, done.stderr) == (f"{argv}\n", "")


def test_exec_says_where_options_of_the_program_go(tmp_path):
    done = pinjra("exec", str(tmp_path / "p.py"), "--loud")
    assert done.returncode == 2
    assert "The program's own options come after --." in done.stderr


def test_exec_in_json_holds_everything(tmp_path):
    done = pinjra("exec", "-c", "print('o')\n{'a': [1, None]}", "--executor", "local", "--json")
    form = json.loads(done.stdout)
    assert (form["value"], form["stdout"], form["error"]) == ({"a": [1, None]}, "o\n", None)
    failed = json.loads(pinjra("exec", "-c", "\n1/0", "--executor", "local", "--json").stdout)
    assert (failed["error"]["kind"], failed["error"]["type"], failed["error"]["line"]) == (
        "exception",
        "ZeroDivisionError",
        2,
    )


def test_a_guests_terminal_commands_do_not_reach_the_terminal():
    done = pinjra("exec", "-c", "print(chr(27) + ']0;owned' + chr(7))\nchr(0x9b)", "--executor", "local")
    assert not set(done.stdout) & {"\x1b", "\x07", "\x9b"}
    assert "owned" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exec"], "pinjra: give either PROGRAM or -c CODE (see pinjra exec --help)"),
        (["exec", "-c", "1", "--executor", "moon"], "pinjra: there is no executor 'moon'; there are: jail, local, "),
        (["exec", "/no/such/file"], "No such file or directory"),
        (["exec", "-c", "1", "--python-path", "/no/such"], "python_path=: there is no folder '/no/such' (here: --python-path)"),
        (["score", "pyproject.toml", "--reference", "--out", "/no/such/v"], "there is no folder '/no/such' to write into"),
        (["run", "x", "--model", "openai:m", "--save", "/no/such/run"], "there is no folder '/no/such' to write into"),
        (["score", "pyproject.toml", "--reference", "--k", "0"], "--k takes whole numbers above 0, separated by commas, not '0'"),
        (["score", "pyproject.toml", "--reference", "--k", "²"], "--k takes whole numbers above 0, separated by commas, not '²'"),
        (["exec", "-c", "1", "--wall", "-1"], "--wall"),
        (["run", " "], "pinjra: the task is empty (see pinjra run --help)"),
        (["run", "x", "--model", "moon:1"], "pinjra: there is no model 'moon:1'; write one of "),
        (["run", "x", "--model", "openai:m", "--tools", "rocket"], "there is no tool 'rocket'; there are: visit_webpage, "),
        (["models", "pull", "gpt-5"], "pinjra: there is no embedded model 'gpt-5'; there are: "),
        (["models", "pull", "x", "--small"], "give either NAME or --small"),
        (["replay", "/no/such/file"], "does not exist"),
        (["doctor", "--live", "moon"], "pinjra: there is no executor 'moon'"),
        (["doctor", "--live", "local", "--only", "moon"], "pinjra: no check has 'moon' in its name"),
        (["doctor", "--only", "memory"], "--only and --set go with --live"),
        (["serve", "--executor", "moon"], "pinjra: there is no executor 'moon'"),
        (["serve", "--model", "moon"], "pinjra: there is no model 'moon'"),
        (["ui", "--no-browser", "--model", "moon"], "pinjra: there is no model 'moon'"),
        (["ui", "--no-browser", "--model", "openai:m", "--tools", "rocket"], "there is no tool 'rocket'"),
        (["fly"], "there is no command 'fly'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_and_exit_status_2(arguments, message):
    if arguments[0] in ("serve", "ui"):
        pytest.importorskip("uvicorn")
    done = pinjra(*arguments, env={"OPENAI_API_KEY": "x"})
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("pinjra: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "same"), [(["help"], ["--help"]), (["help", "exec"], ["exec", "--help"]), ([], ["-h"])]
)
def test_help_is_found_in_each_way_that_people_ask_for_it(words, same):
    asked, said = pinjra(*words), pinjra(*same)
    assert (asked.returncode, asked.stdout) == (0, said.stdout)
    assert said.stdout.startswith("Usage: pinjra ")


def test_without_any_model_it_says_how_to_get_one(tmp_path):
    done = pinjra("run", "x", env={"XDG_CACHE_HOME": str(tmp_path), "PINJRA_MODEL": ""})
    assert done.returncode == 2
    assert "pinjra models pull qwen2.5-coder-1.5b" in done.stderr


def test_a_saved_file_that_is_no_run_is_bad_input(tmp_path):
    file = tmp_path / "no.json"
    file.write_text('{"format": "other"}')
    done = pinjra("replay", str(file))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("pinjra: no.json holds no run of `pinjra run --save`: ")


RUN = ("run", "Count.", "--model", "openai:m", "--executor", "local")
STEPS = ["Print.\n```python\nprint('seen')\n```", "```python\nfinal_answer(6 * 7)\n```"]


def test_run_shows_steps_as_text_in_a_pipe_and_replays_them(provider, tmp_path):
    environment, answers = provider
    answers += STEPS
    saved = tmp_path / "run.json"
    done = pinjra(*RUN, "--save", str(saved), env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line in ("task: Count.", "step 1: Print.", ">>> print('seen')", "| seen", "answer: 42"):
        assert line in lines
    assert ANSI not in done.stdout
    assert "zebra-1234" not in saved.read_text()
    again = pinjra("replay", str(saved))
    assert again.returncode == 0
    assert "answer: 42" in again.stdout


def test_run_quietly_prints_only_the_answer(provider):
    environment, answers = provider
    answers += STEPS
    done = pinjra(*RUN, "--quiet", env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_run_takes_what_is_piped_as_a_file(provider):
    environment, answers = provider
    answers.append("```python\nfinal_answer(open('stdin').read().upper())\n```")
    done = pinjra(*RUN, "--quiet", "--stdin", "-", env=environment, stdin="a,b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "A,B\n", "")


def test_run_takes_files_and_saves_what_comes_out(provider, tmp_path):
    environment, answers = provider
    answers += ["Copy.\n```python\nopen('b.txt', 'w').write(open('a.txt').read())\nfinal_answer(1)\n```"]
    (tmp_path / "a.txt").write_text("copied")
    out = tmp_path / "out"
    done = pinjra(*RUN, "--file", str(tmp_path / "a.txt"), "--out", str(out), env=environment)
    assert done.returncode == 0, done.stderr
    assert (out / "b.txt").read_text() == "copied"


def test_run_in_json_prints_an_object_a_line(provider):
    environment, answers = provider
    answers += STEPS
    done = pinjra(*RUN, "--json", env=environment)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["event"] == "RunStarted"
    assert {"CodeReady", "OutputText", "StepFinished", "FinalAnswer"} < {line["event"] for line in lines}
    assert (lines[-1]["event"], lines[-1]["state"], lines[-1]["output"]) == ("RunFinished", "success", 42)


def test_run_in_a_terminal_is_in_colour_and_ends_with_the_cursor_shown(provider):
    environment, answers = provider
    answers += STEPS
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "pinjra", *RUN]
    env = {**os.environ, **environment, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=env) as process:
        os.close(child)
        shown = b""
        while piece := _read(parent):
            shown += piece
    os.close(parent)
    text = shown.decode()
    assert process.returncode == 0
    assert "answer" in text
    assert "42" in text
    assert "\x1b[?25h" in text[text.rindex("\x1b[?25l") :]


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO: the other side is closed (pty(7))
        return b""


def test_a_run_without_an_answer_has_status_1(provider):
    environment, answers = provider
    answers += ["```python\nprint(1)\n```", "I do not know."]
    done = pinjra(*RUN, "--max-steps", "1", env=environment)
    assert done.returncode == 1
    assert "max_steps_error" in done.stdout


def test_a_provider_that_fails_has_status_4_and_no_traceback(tmp_path):
    pytest.importorskip("openai")
    environment = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "zebra-1234"}
    done = pinjra("run", "x", "--model", "openai:m", "--executor", "local", "--quiet", env=environment)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert "zebra-1234" not in done.stderr
    assert "Connection" in done.stderr
    shown = pinjra("run", "x", "--model", "openai:m", "--executor", "local", env=environment)
    assert shown.stdout.count("AgentGenerationError") == 1


def test_ctrl_c_ends_a_program_with_status_130():
    command = [
        sys.executable,
        "-m",
        "pinjra",
        "exec",
        "-c",
        "print('on')\nwhile True: pass",
        "--executor",
        "local",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "on\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_ctrl_c_ends_a_run_with_status_130(provider):
    environment, answers = provider
    answers += ["```python\nprint('on')\nwhile True: pass\n```"]
    command = [sys.executable, "-m", "pinjra", *RUN]
    env = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        while process.stdout.readline() != "| on\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "interrupted" in shown
    assert "Traceback" not in errors


def test_doctor_names_every_executor_and_the_strongest_one():
    done = pinjra("doctor", "--json")
    assert done.returncode == 0
    form = json.loads(done.stdout)
    by_name = {d["name"]: d for d in form["executors"]}
    assert {"jail", "local", "docker", "e2b", "wasm"} <= set(by_name)
    assert by_name["local"]["problem"] == ""
    assert by_name["local"]["guarantees"]["wall"] == "host timer, kill"
    text = pinjra("doctor").stdout
    assert all(f" {name}\n" in text for name in by_name)
    assert pinjra("doctor", "--best").stdout.strip() in by_name


def test_doctor_runs_the_conformance_suite_for_real():
    words = ["--only", "plain values", "--only", "agent", "--only", "lies"]
    done = pinjra("doctor", "--live", "local", *words)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[0].startswith("local: opens (run ")
    assert [line.split()[0] for line in lines[2:-1]] == ["passed", "passed", "passed", "passed"]
    assert lines[-1] == "4 passed, 0 failed, 0 skipped"


def test_doctor_says_by_its_exit_status_that_a_check_failed():
    settings = ["--set", 'protected=["x"]', "--only", "the value of the last expression"]
    done = pinjra("doctor", "--live", "local", *settings)
    assert done.returncode == 4
    assert done.stdout.splitlines()[-2].startswith("failed ")
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


def test_models_are_listed_with_their_pins(tmp_path):
    done = pinjra("models", "list", "--json", env={"XDG_CACHE_HOME": str(tmp_path)})
    forms = {form["name"]: form for form in map(json.loads, done.stdout.splitlines())}
    assert forms["qwen2.5-coder-0.5b"]["bytes"] == 491_400_064
    assert forms["qwen2.5-coder-1.5b"]["path"] is None


def test_help_imports_nothing_heavy():
    code = "import sys, pinjra.cli; pinjra.cli.cli.main(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert "doctor" in done.stdout
    for heavy in ("rich", "numpy", "httpx", "huggingface_hub", "openai", "xllamacpp", "pinjra.agents"):
        assert f"'{heavy}'" not in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")
def test_exec_gives_programs_folders_and_variables_by_options(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("5\n")
    words = [
        "exec",
        "--executor",
        "jail",
        "--language",
        "bash",
        "--program",
        "bash",
        "--mount",
        f"d={tmp_path}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pinjra", *words, "--env", "A=b=c", "-c", "cat d/n; echo $A; exit 3"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "5\nb=c\n"
    assert "exit status 3" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("option", ["--mount", "--env"])
def test_an_option_that_wants_a_name_and_a_value_says_so(option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pinjra", "exec", option, "data", "-c", "1"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"{option} wants NAME=" in done.stderr


def test_the_first_process_of_a_container_ends_when_it_is_asked() -> None:
    code = "print('on', flush=True)\nimport time\ntime.sleep(1000)"
    command = [sys.executable, "-m", "pinjra", "exec", "--executor", "local", "-c", code]
    process = subprocess.Popen(["unshare", "--pid", "--fork", *command], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as output:
        if output.readline() != b"on\n":
            process.wait()
            pytest.skip("no namespace of processes here")
        (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        assert process.wait(300) == 128 + signal.SIGTERM

"""Checks: what gets into a box besides values. Each parameter works, or is refused in a sentence that names who has it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pinjra.core.access import PARAMETERS
from pinjra.core.errors import ConfigurationError
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import CheckFailed, NotHere, another, check, expect, value_of

# A harmless wish for each parameter.
_WISHES: Mapping[str, object] = {
    "programs": ["sh"],
    "network": True,
    "packages": ["six"],
    "env": {"PINJRA_CHECK": "1"},
    "python_path": [os.getcwd()],
}


@check()
def what_an_executor_cannot_give_is_refused_with_the_name_of_one_that_can(executor: PythonExecutor) -> None:
    having = _access(executor)
    for name in PARAMETERS:
        if name in having or name not in _WISHES:
            continue
        try:
            another(executor, **{name: _WISHES[name]}).close()
        except ConfigurationError as error:
            if f"{name}=" not in str(error) or "executor_type=" not in str(error):
                raise CheckFailed(f"{name}= is refused without saying who has it: {error}") from None
        else:
            raise CheckFailed(f"{name}= was taken, and is not in ACCESS")


@check(imports=["os"])
def variables_of_the_environment_are_seen(executor: PythonExecutor) -> None:
    _need(executor, "env")
    with another(executor, ["os"], env={"PINJRA_CHECK": "ü = 1"}) as box:
        expect(value_of(box, "import os\nos.environ['PINJRA_CHECK']"), "ü = 1")


@check()
def a_program_has_input_output_and_a_status(executor: PythonExecutor) -> None:
    _need(executor, "programs")
    try:
        box = another(executor, programs=["sh"])
    except ConfigurationError as error:
        raise NotHere(str(error)) from None
    with box:
        box.put_file("in.txt", b"of a file\n")
        done = box.exec(
            ["sh", "-c", 'while read x; do echo "$x"; done; read y <in.txt; echo "$y"; exit 3'], stdin="ü\n"
        )
        expect((done.stdout, done.status, done.error), ("ü\nof a file\n", 3, None))
        expect(value_of(box, "1 + 1"), 2)


@check()
def a_folder_of_this_machine_is_seen_and_stays_as_it_is(executor: PythonExecutor) -> None:
    _need(executor, "mounts")
    with tempfile.TemporaryDirectory(prefix="pinjra-check-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103  (the guest may be another user)
        (Path(folder) / "inner").mkdir(mode=0o755)
        (Path(folder) / "inner" / "a.txt").write_bytes(b"shown")
        with another(executor, mounts={"data": folder}) as box:
            expect(box.run("open('data/inner/a.txt').read()").value, "shown")
            box.run("with open('data/inner/a.txt', 'w') as f:\n    f.write('changed')")
            box.run("with open('data/new.txt', 'w') as f:\n    f.write('new')")
            box.reset()
            expect(box.run("open('data/inner/a.txt').read()").value, "shown", "after reset()")
        expect(sorted(os.listdir(folder)), ["inner"])
        expect((Path(folder) / "inner" / "a.txt").read_bytes(), b"shown")


def _access(executor: PythonExecutor) -> Mapping[str, str]:
    """Return what the executor says that it has.

    Raises:
        NotHere: It is of a kind that says nothing.
    """
    found = getattr(executor, "ACCESS", None)
    if not isinstance(found, Mapping):
        raise NotHere("this executor knows none of these parameters")
    return found


def _need(executor: PythonExecutor, name: str) -> None:
    if name not in _access(executor):
        raise NotHere(f"this executor has no {name}=")

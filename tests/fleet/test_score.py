"""`pinjra score` on the set in examples/, and on those of ../shared where they are."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from pinjra.cli.score import score

ROOT = Path(__file__).resolve().parents[2]
SET = ROOT / "examples" / "score"
CORPUS = ROOT.parent / "shared" / "bench" / "corpus" / "data"
TIMES = ("wall_seconds", "cpu_seconds", "memory_bytes")


def run(*arguments, status=0):
    done = CliRunner().invoke(score, [str(each) for each in arguments], standalone_mode=False)
    assert done.exception is None, done.output
    assert done.return_value == status
    return dict(line.split() for line in done.output.splitlines())


def rows(path):
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for each in found:
        for case in each["cases"]:
            for name in TIMES:
                case.pop(name)
    return found


def test_the_set_in_examples(fleet, tmp_path):
    table = run(SET / "problems.jsonl", SET / "samples.jsonl", "--k", "1,2", "--out", tmp_path / "one")
    assert table == {"passed": "6", "wrong": "4", "exception": "2", "pass@1": "0.500", "pass@2": "0.967"}
    run(SET / "problems.jsonl", SET / "samples.jsonl", "--out", tmp_path / "two")
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    assert run(SET / "problems.jsonl", "--reference")["passed"] == "5"


def test_random_numbers_are_those_of_the_seed(fleet, tmp_path):
    random.seed(7)
    problem = {"task_id": "a", "cases": [{"stdout": str(random.random())}]}
    (tmp_path / "p.jsonl").write_text(json.dumps(problem) + "\n")
    (tmp_path / "s.jsonl").write_text(
        json.dumps({"task_id": "a", "code": "import random\nprint(random.random())"}) + "\n"
    )
    both = (tmp_path / "p.jsonl", tmp_path / "s.jsonl", "--repeat", 3)
    assert run(*both, "--seed", 7) == {"passed": "3", "pass@1": "1.000"}
    assert run(*both, "--seed", 8) == {"wrong": "3", "pass@1": "0.000"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["HumanEval.jsonl.gz", "mbpp.jsonl"])
def test_the_own_solutions_of_a_known_set_pass(fleet, name):
    if not (CORPUS / name).exists():
        pytest.skip("the sets of ../shared are not here")
    assert run(CORPUS / name, "--reference", "--wall", 120).keys() == {"passed", "pass@1"}

"""Who is new in the box, by the numbers of processes; what those below an interpreter have used."""

import os
import signal

import pytest

from pinjra.worker.supervisor import sweep as sweeper
from pinjra.worker.supervisor.sweep import Spent, Sweeper


class Nobody:
    pid = checkpoint = session = 0

    def note_death(self, pid, status, usage):
        return


@pytest.fixture
def by_number(monkeypatch):
    """A sweeper that has no /proc, and as its only sign of others the number of the newest process."""
    monkeypatch.setattr(sweeper, "_shows_processes", lambda: False)
    with open("/proc/loadavg", "rb") as file, open("/proc/sys/kernel/pid_max", "rb") as most:
        yield Sweeper(newest=file.fileno(), most=most.fileno())


def sleeper():
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    return pid


def test_numbers_go_on_from_the_last_one_and_start_over_at_the_end():
    assert list(sweeper._between(10, 13, 32_768)) == [11, 12, 13]
    assert list(sweeper._between(13, 13, 32_768)) == []
    assert list(sweeper._between(32_766, 4, 32_768)) == [32_767, 32_768, 2, 3, 4]
    assert list(sweeper._between(32_766, 1, 0)) == [32_767, 32_768]
    assert list(sweeper._between(4_194_302, 3, 4_194_304)) == [4_194_303, 4_194_304, 2, 3]


def test_numbers_that_came_round_are_all_looked_at(monkeypatch, tmp_path):
    """A process hides below the mark, behind as many others as there are numbers."""
    monkeypatch.setattr(sweeper, "_shows_processes", lambda: False)
    monkeypatch.setattr(sweeper, "_FORK_SECONDS", 0.0)
    made, most, newest = tmp_path / "stat", tmp_path / "pid_max", tmp_path / "loadavg"
    made.write_text(f"cpu {'0 ' * 40_000}\nprocesses 1000\nprocs_running 1\n")
    pid = sleeper()
    most.write_text(f"{pid + 1000}\n")
    newest.write_text(f"0 0 0 1/1 {pid + 10}\n")
    try:
        with open(made, "rb") as forks, open(most, "rb") as largest, open(newest, "rb") as last:
            found = Sweeper(newest=last.fileno(), forks=forks.fileno(), most=largest.fileno())
            found._mark = pid + 5
            assert pid not in found._everybody()[1]  # nothing says that numbers came round
            made.write_text(f"cpu {'0 ' * 40_000}\nprocesses {1000 + pid + 1000}\nprocs_running 1\n")
            assert pid in found._everybody()[1]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_count_of_other_processes_than_ours_is_not_relied_on(by_number):
    by_number.check(os.getpid() + (1 << 20))
    assert by_number.newest == -1


def test_a_new_process_is_seen_in_two_looks_and_not_counted_twice(by_number):
    pid = sleeper()
    try:
        assert pid in by_number.below(0, Nobody())
        assert by_number.below(0, Nobody()).count(pid) == 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert pid not in by_number.below(0, Nobody())


def test_what_an_ended_process_had_used_still_counts():
    spent = Spent()
    pid = os.fork()
    if pid == 0:
        while True:
            pass
    while not (seen := spent.seconds([pid])):
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert spent.seconds([]) >= seen

import os
import subprocess
import sys
import threading

import pytest

from pinjra.core.processes import children_of, usage_of

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc")


def test_what_a_thread_has_started_counts_with_its_process():
    is_started, is_over = threading.Event(), threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def work() -> None:
        command = [sys.executable, "-c", "input(1)"]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        started[0].stdout.read(1)  # before, it may have no memory yet
        is_started.set()
        is_over.wait()

    thread = threading.Thread(target=work)
    thread.start()
    is_started.wait()
    try:
        assert started[0].pid in children_of(os.getpid())
        assert usage_of(os.getpid())[1] > usage_of(started[0].pid)[1] > 0
    finally:
        started[0].communicate(b"\n")
        is_over.set()
        thread.join()


def test_nothing_is_below_a_process_that_is_gone():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert children_of(gone.pid) == []
    assert usage_of(gone.pid) == (0, 0)

"""Guest code that attacks its own worker, without the guard: every path ends in a typed loss, never in a hang."""

import os
import select
import signal
import time

import pytest

from pinjra.wire.messages import Done, Finished, GrantTools, Interrupt, Kill, Lost
from processes import is_alive, parent_of, watches


def wait_until_gone(pids):
    """Wait until the processes have ended; a minute at most."""
    for fd in watches(pids):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        assert poll.poll(60_000), f"one of the processes {pids} did not end"
        os.close(fd)


@pytest.mark.parametrize(
    ("code", "cause", "detail"),
    [
        ("import os\nos._exit(3)", "exit", "exit status 3"),
        ("import ctypes\nctypes.string_at(0)", "signal", "signal 11"),
        ("import os\nos.kill(os.getpid(), 9)", "signal", "signal 9"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)", "cpu", "signal 24"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSYS)", "seccomp", "signal 31"),
    ],
)
def test_a_step_that_kills_its_interpreter_is_rolled_back(host, code, cause, detail):
    host.run("x = ['before']")
    lost = host.run("x.append('during')\n" + code)
    assert (lost.cause, lost.detail, lost.rolled_back) == (cause, detail, True)
    assert host.run("x") == ["before"]
    assert host.run("x.append(1)\nimport os\nos._exit(0)").rolled_back
    assert host.run("x") == ["before"]


def test_a_first_step_that_crashes_is_rolled_back_to_nothing_with_its_tools(host):
    host.grant(f=lambda: 5)
    assert host.run("y = 1\nimport os\nos._exit(1)").rolled_back
    assert host.run("f()") == 5
    assert host.run("y")["type"] == "NameError"


def test_without_rollback_the_loss_of_the_state_is_said(open_host):
    host = open_host(rollback=False)
    host.run("x = 1")
    lost = host.run("import os\nos._exit(1)")
    assert (lost.cause, lost.rolled_back) == ("exit", False)
    assert host.run("x")["type"] == "NameError"


def test_kill_names_its_cause_and_its_number(host):
    host.run("x = 1")
    host.start("x = 2\nwhile True: pass")
    host.send(Kill(cause="wall", kill=7))
    lost = host.finish()
    assert (lost.cause, lost.kill, lost.rolled_back) == ("wall", 7, True)
    assert host.run("x") == 1


def test_a_kill_that_comes_too_late_undoes_nothing(host):
    host.run("x = 5")
    host.send(Kill(cause="wall", kill=3))
    lost = host.next(Lost)
    assert (lost.kill, lost.rolled_back) == (3, True)
    assert host.run("x") == 5


def test_cpu_limit_holds_when_the_guest_swallows_everything(open_host):
    host = open_host(limits={"cpu_seconds": 0.2})
    lost = host.run(
        "import signal\nfor n in (2, 15, 24): signal.signal(n, signal.SIG_IGN)\n"
        "while True:\n try:\n  while True: pass\n except BaseException: pass"
    )
    assert (lost.cause, lost.rolled_back) == ("cpu", True)
    assert host.run("1") == 1


def test_cpu_time_of_child_processes_counts(open_host):
    host = open_host(limits={"cpu_seconds": 0.3})
    lost = host.run("import os\nif os.fork() == 0:\n while True: pass\nos.wait()")
    assert lost.cause == "cpu"


def test_each_run_has_its_own_cpu_allowance(open_host):
    host = open_host(limits={"cpu_seconds": 1.0})
    spin = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    for _ in range(4):
        assert host.run(spin) is None


def test_an_interrupt_ends_a_sleep_and_keeps_the_state(host):
    host.run("x = 1")
    host.start("x = 2\nprint('in')\nimport time\ntime.sleep(600)")
    while not host.read().text:
        pass
    host.send(Interrupt(grace_seconds=30))
    end = host.finish()
    assert isinstance(end, Finished)
    assert (end.error["kind"], end.error["cause"]) == ("interrupted", "interrupt")
    assert host.run("x") == 2


def test_an_interrupt_that_is_swallowed_becomes_a_kill(host):
    host.run("x = 1")
    host.start(
        "x = 2\nimport time\nwhile True:\n try:\n  print('in')\n  time.sleep(600)\n except BaseException: pass"
    )
    while not host.read().text:
        pass
    host.send(Interrupt(grace_seconds=0.05))
    lost = host.finish()
    assert (lost.cause, lost.rolled_back) == ("interrupt", True)
    assert host.run("x") == 1


def test_an_interrupt_works_when_the_launcher_ignored_sigint(open_host):
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        host = open_host()
    finally:
        signal.signal(signal.SIGINT, old)
    host.start("print('in')\nwhile True: pass")
    while not host.read().text:
        pass
    host.send(Interrupt(grace_seconds=30))
    assert host.finish().error["kind"] == "interrupted"


OF_ITS_OWN = (
    "import signal\nsignal.raise_signal(signal.SIGINT)",
    "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass",
    "import _thread\n_thread.interrupt_main()\nwhile True: pass",
)


@pytest.mark.parametrize("code", OF_ITS_OWN)
def test_a_guests_own_sigint_is_an_exception_that_it_can_catch(host, code):
    lines = code.replace("\n", "\n ")
    assert host.run(f"x = 1\ntry:\n {lines}\nexcept KeyboardInterrupt: x += 1\nx") == 2
    error = host.run(code)
    assert (error["kind"], error["type"]) == ("exception", "KeyboardInterrupt")
    assert host.run("x") == 2


def test_the_hosts_interrupt_is_none_of_the_guests_signals(open_host):
    host = open_host(guard=True)
    host.start(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\nprint('in')\n"
        "while True:\n try:\n  while True: pass\n except BaseException: pass"
    )
    while not host.read().text:
        pass
    host.send(Interrupt(grace_seconds=30))
    assert host.finish().error["kind"] == "interrupted"


def test_an_interrupt_at_any_moment_of_a_run_is_no_crash(host):
    # they are looked at before and after each run
    host.run("for number in range(2000): open(str(number), 'w').close()")
    # the kill at the end of the grace comes at any moment too: also when the end is said and has no checkpoint behind it yet
    for moment in range(240):
        host.start("")
        time.sleep(moment % 60 * 0.000_5)  # from before the first line to behind the end
        host.send(Interrupt(grace_seconds=(0.01, 0.003, 0.002, 0.001)[moment // 60]))
        end = host.finish()  # one that comes before the run has begun is kept for the end of its grace
        if isinstance(end, Lost):
            assert (end.cause, end.rolled_back) == ("interrupt", True)
        elif end.error is not None:
            assert (end.error["kind"], end.error["cause"]) == ("interrupted", "interrupt")


def test_an_interrupt_without_a_run_does_nothing(host):
    host.send(Interrupt())
    assert host.run("1 + 1") == 2


def test_memory_limit_is_a_limit_of_the_run(open_host):
    host = open_host(limits={"memory_bytes": 256 << 20})
    error = host.run("b = bytearray(1 << 30)")
    assert (error["kind"], error["cause"]) == ("limit", "memory")
    assert host.run("2") == 2


def test_processes_that_a_run_leaves_are_killed_when_it_ends(host):
    pids = host.run(
        "import os, time\npids = []\nfor n in range(3):\n"
        " pid = os.fork()\n if pid == 0:\n  os.setsid()\n  time.sleep(600)\n pids.append(pid)\npids"
    )
    assert host.run("import os\nlen(pids)") == 3  # the run is carried out when the leftovers are gone
    assert not any(map(is_alive, pids))


def test_a_daemon_that_left_its_parents_is_killed_too(host):
    code = (
        "import os, time\nr, w = os.pipe()\nif os.fork() == 0:\n os.setsid()\n"
        " if os.fork() == 0:\n  os.write(w, b'%d;' % os.getpid())\n  time.sleep(600)\n os._exit(0)\n"
        "os.wait()\nint(os.read(r, 20)[:-1])"
    )
    pid = host.run(code)
    host.run("1")
    assert not is_alive(pid)


def test_a_fork_bomb_ends_with_its_run(open_host):
    host = open_host(limits={"processes": 12})
    lost = host.run(
        "import os, time\nfor n in range(6):\n os.fork()\ntime.sleep(600)"  # 64 processes
    )
    assert (lost.cause, lost.rolled_back) == ("processes", True)
    assert host.run("3") == 3
    interpreter, *rest = host.processes()
    wait_until_gone([pid for pid in rest if parent_of(pid) != interpreter])
    assert len(host.processes()) <= 2  # the interpreter and its checkpoint


def test_a_guest_that_kills_its_checkpoint_loses_its_own_rollback_only(host):
    host.run("x = 1")
    lost = host.run(
        "import os\nme = os.getpid()\n"
        "for c in open(f'/proc/{me}/task/{me}/children').read().split(): os.kill(int(c), 9)\nos._exit(1)"
    )
    assert (lost.cause, lost.rolled_back) == ("exit", False)
    assert host.run("x")["type"] == "NameError"
    assert host.run("4") == 4


def sockets_code(use):
    """Return guest code that finds its worker's sockets: the lower is the stream, then wake."""
    return (
        "import os, stat\nfds = sorted(int(f) for f in os.listdir('/proc/self/fd'))\n"
        "socks = [f for f in fds if os.path.exists(f'/proc/self/fd/{f}')"
        " and stat.S_ISSOCK(os.stat(f'/proc/self/fd/{f}').st_mode)]\n" + use
    )


def test_the_interpreter_has_two_sockets_and_the_standard_descriptors(host):
    code = sockets_code("sorted(f for f in fds if os.path.exists(f'/proc/self/fd/{f}')), len(socks)")
    fds, count = host.run(code)
    assert count == 2
    assert len(fds) == 5


def test_child_processes_get_no_descriptor_of_the_worker(host):
    code = "import subprocess\nsubprocess.run(['ls', '/proc/self/fd'], capture_output=True, close_fds=False).stdout"
    assert host.run(code).split() == [b"0", b"1", b"2", b"3"]  # 3 is the folder that ls reads


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\n",
        b'["c","Lost",{"cause":"wall"}]\n',
        b"x" * (1 << 21),
        b'["g","*",0,999999999,1]\n',
    ],
    ids=["no frame", "control lane", "endless line", "endless blob"],
)
def test_garbage_on_the_workers_socket_kills_the_interpreter(host, garbage):
    host.run("x = 1")
    code = sockets_code(f"import time\nos.write(socks[0], {garbage!r})\ntime.sleep(600)")
    lost = host.run(code)
    assert (lost.cause, lost.rolled_back) == ("protocol", True)
    assert host.run("x") == 1


def test_a_forged_line_of_the_guests_lane_stays_on_the_guests_lane(host):
    host.run("x = 1")
    forged = '["g","Finished",{"run":2,"value":"forged"}]\\n'
    assert host.run(sockets_code(f"os.write(socks[0], b'{forged}')\nos._exit(0)")) == "forged"
    assert host.run("x").rolled_back is False  # the state that it pretended to have is not there
    assert host.run("1") == 1


def test_a_forged_end_without_readiness_is_not_a_hang(host):
    host.run("x = 1")
    forged = '["g","Finished",{"run":2,"value":"forged"}]\\n'
    host.start(sockets_code(f"os.write(socks[0], b'{forged}')\nimport time\ntime.sleep(600)"))
    host.finish()
    host.start("5")
    host.send(Kill(cause="wall", kill=1))  # the host's own deadline
    lost = host.finish()
    assert (lost.cause, lost.kill) == ("wall", 1)
    lost = host.run("6")  # the end of the supervisor's patience
    assert (lost.cause, lost.rolled_back) == ("protocol", False)
    assert host.run("7") == 7


def test_a_guest_that_closes_what_it_prints_to_loses_its_prints_only(host):
    assert host.run("import os\nos.close(1)\nos.close(2)\n5") == 5
    assert host.run("print('lost')")["type"] == "OSError"
    assert host.run("6") == 6


def test_a_crash_between_two_runs_that_costs_the_state_is_said_at_the_next_run(host):
    host.grant(f=lambda: None)
    host.tools.clear()
    host.start(
        "import os, threading\nx = 1\ndef wait():\n try:\n  f()\n except RuntimeError:\n  os._exit(4)\n"
        "threading.Thread(target=wait).start()"
    )
    assert isinstance(host.finish(), Finished)
    end = host.run("import time\ntime.sleep(600)")
    assert (end.cause, end.detail, end.rolled_back) == ("exit", "exit status 4", False)
    assert host.run("1") == 1


def test_a_binding_that_kills_the_interpreter_is_answered(host):
    host.run(
        "import sys, os\nclass D(dict):\n pass\n"
        "import pinjra.worker.interpreter.forked as w\nw.ForkedProgram.grant = lambda *a: os._exit(9)"
    )
    host.send(GrantTools(request=host.request(), tools={"f": {"doc": ""}}))
    assert isinstance(host.next(Lost, Done), Lost)
    assert host.run("7") == 7


def test_close_leaves_no_process_and_no_folder(host):
    folder = host.run(
        "import os, subprocess\nopen('left', 'w').close()\nsubprocess.Popen(['sleep', '600'])\nos.getcwd()"
    )
    below = host.processes()
    assert below
    assert host.close() == 0
    assert not any(map(is_alive, below))
    assert not os.path.exists(folder)


def test_the_end_of_the_stream_ends_everything_also_in_the_middle_of_a_run(host):
    host.start("import subprocess\nprint('in')\nsubprocess.run(['sleep', '600'])")
    while not host.read().text:
        pass
    below = host.processes()
    host.process.stdin.close()
    assert host.process.wait(300) == 0
    assert not any(map(is_alive, below))


def test_a_supervisor_that_is_killed_takes_the_interpreter_with_it(host):
    host.run("1")
    host.set(x=1)  # carried out when the checkpoint is made
    below = host.processes()
    assert len(below) == 2
    host.process.kill()
    host.process.wait(300)
    wait_until_gone(below)


def test_garbage_from_the_host_ends_the_worker(host):
    host.send_bytes(b"no frame\n")
    assert host.process.wait(300) == 0

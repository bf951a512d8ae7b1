# Outlive the budget in code that is made or called by others: exec, generators closed late, callbacks of C, descriptors, threads.
import functools, operator, threading, weakref
loop = compile("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "<text>", "exec")
class Late:
    def __del__(self):
        try:
            while True: pass
        except BaseException:
            while True: pass
    def __len__(self):
        while True:
            try:
                exec(loop, {})
            except BaseException:
                pass
    __index__ = __hash__ = __bool__ = __len__
def spin(*_):
    for _ in iter(lambda: spin and 1, 2):
        try:
            spin()
        except RecursionError:
            continue
        except BaseException:
            continue
def swallow(call):
    try:
        call()
    except BaseException:
        pass
    finally:
        try:
            call()
        finally:
            return
while True:
    for call in (lambda: exec(loop), lambda: eval("[0 for _ in iter(int, 1)]"), lambda: [Late()] and None, lambda: len(Late()),
                 lambda: sorted([2, 1], key=spin), lambda: functools.reduce(spin, [1, 2]), lambda: operator.index(Late()),
                 lambda: bool(Late()), lambda: weakref.finalize(Late(), spin), lambda: any(map(spin, [1]))):
        swallow(call)
    thread = threading.Thread(target=swallow, args=(spin,))
    thread.start()
    thread.join()

"""The tool returns one object each time; eight threads call its method, each through a handle of its own."""

import threading

accounts = [account() for _ in range(8)]  # noqa: F821
threads = [threading.Thread(target=each.withdraw, args=(100,)) for each in accounts]
for each in threads:
    each.start()
for each in threads:
    each.join()

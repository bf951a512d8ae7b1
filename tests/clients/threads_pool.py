# needs:
import queue
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

waiting = queue.Queue()
threads = [threading.Thread(target=lambda n=n: waiting.put(n * n)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(waiting.get() for _ in threads) == [n * n for n in range(8)]
with ThreadPoolExecutor(4) as pool:
    assert sum(done.result() for done in as_completed(pool.submit(pow, n, 2) for n in range(10))) == 285

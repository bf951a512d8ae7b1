# needs:
import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def square(n):
    return n * n


with ProcessPoolExecutor(3) as pool:
    assert list(pool.map(square, range(5))) == [0, 1, 4, 9, 16]
with multiprocessing.Pool(2) as pool:
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
queue = multiprocessing.Queue()
process = multiprocessing.Process(target=queue.put, args=("from afar",))
process.start()
assert queue.get(timeout=10) == "from afar"
process.join()

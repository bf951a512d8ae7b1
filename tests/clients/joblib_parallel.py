# needs: packages=joblib
import math
from joblib import Memory, Parallel, delayed, dump, load

assert Parallel(n_jobs=-1)(delayed(math.sqrt)(n * n) for n in range(10)) == list(range(10))
dump({"a": 1}, "a.joblib")
assert load("a.joblib") == {"a": 1}
assert Memory("cache", verbose=0).cache(math.factorial)(5) == 120

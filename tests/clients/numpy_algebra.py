# needs: packages=numpy
import numpy as np

rng = np.random.default_rng(1)
a = rng.normal(size=(200, 200))
u, s, v = np.linalg.svd(a)
assert np.allclose(u * s @ v, a)
np.savez("a.npz", a=a)
with np.load("a.npz") as kept:
    assert (kept["a"] == a).all()
held = np.memmap("m.dat", dtype="float32", mode="w+", shape=(1000,))
held[:] = 1
held.flush()

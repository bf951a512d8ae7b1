# needs: packages=scipy,numpy
import numpy as np
from scipy import integrate, optimize, stats

assert abs(optimize.brentq(lambda x: x * x - 2, 0, 2) - 2**0.5) < 1e-9
assert abs(integrate.quad(np.sin, 0, np.pi)[0] - 2) < 1e-9
assert stats.ttest_ind([1, 2, 3], [4, 5, 6]).pvalue < 0.05

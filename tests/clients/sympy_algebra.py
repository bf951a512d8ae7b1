# needs: packages=sympy
import sympy as sp

x = sp.symbols("x")
assert sp.solve(x**2 - 5 * x + 6, x) == [2, 3]
assert sp.integrate(sp.sin(x), (x, 0, sp.pi)) == 2
assert sp.lambdify(x, x**2)(3) == 9

# needs: packages=matplotlib,numpy
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 6, 100)
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].plot(x, np.sin(x), label="sin")
axes[0].legend()
axes[1].hist(np.random.default_rng(0).normal(size=500), bins=20)
figure.savefig("plot.png")
figure.savefig("plot.pdf")
with open("plot.png", "rb") as file:
    assert file.read(4) == b"\x89PNG"
plt.show()

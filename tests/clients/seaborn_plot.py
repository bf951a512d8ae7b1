# needs: packages=seaborn,pandas,matplotlib
import pandas as pd
import seaborn as sns

frame = pd.DataFrame({"x": range(20), "y": [n * n for n in range(20)], "kind": ["a", "b"] * 10})
sns.set_theme()
axes = sns.scatterplot(frame, x="x", y="y", hue="kind")
axes.figure.savefig("scatter.png")
sns.pairplot(frame, hue="kind").savefig("pairs.png")

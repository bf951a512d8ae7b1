# needs: packages=scikit-learn,numpy
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import kneighbors_graph

x, y = load_iris(return_X_y=True)
search = GridSearchCV(RandomForestClassifier(random_state=0), {"n_estimators": [5, 10]}, n_jobs=-1, cv=3)
search.fit(x, y)
assert search.best_score_ > 0.9
assert cross_val_score(search.best_estimator_, x, y, n_jobs=2).mean() > 0.9
# these ask which libraries with threads are loaded
assert len(set(KMeans(3, random_state=0, n_init=2).fit(x).labels_)) == 3
assert kneighbors_graph(x, 3).nnz == 3 * len(x)

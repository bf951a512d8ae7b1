# needs: packages=scikit-learn,numpy
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score

x, y = load_iris(return_X_y=True)
search = GridSearchCV(RandomForestClassifier(random_state=0), {"n_estimators": [5, 10]}, n_jobs=-1, cv=3)
search.fit(x, y)
assert search.best_score_ > 0.9
assert cross_val_score(search.best_estimator_, x, y, n_jobs=2).mean() > 0.9

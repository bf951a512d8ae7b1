# needs: packages=requests network
import os
import requests

answer = requests.get(os.environ["URL"] + "/json", params={"q": "ü"}, timeout=10)
answer.raise_for_status()
assert answer.json() == {"path": "/json?q=%C3%BC"}
with requests.Session() as session:
    session.headers["X-Test"] = "1"
    assert session.post(os.environ["URL"] + "/echo", data={"a": "1"}).text == "a=1"
    assert session.get(os.environ["URL"] + "/redirect").json() == {"path": "/json"}
try:
    requests.get("http://not-allowed.example/", timeout=10)
except requests.exceptions.ConnectionError as error:
    print("refused:", type(error).__name__)

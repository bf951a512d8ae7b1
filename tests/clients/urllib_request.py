# needs: network
import json
import os
import urllib.error
import urllib.request

with urllib.request.urlopen(os.environ["URL"] + "/json") as answer:
    assert json.load(answer) == {"path": "/json"}
try:
    urllib.request.urlopen(os.environ["URL"] + "/missing")
except urllib.error.HTTPError as error:
    assert error.code == 404
urllib.request.urlretrieve(os.environ["URL"] + "/large", "large.bin")
assert os.path.getsize("large.bin") == 300_000

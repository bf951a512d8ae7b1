# needs:
import argparse
import csv
import io
import json
import logging
import pathlib
import unittest

logging.basicConfig(filename="run.log", level=logging.INFO, force=True)
logging.getLogger("main").info("begun")
options = argparse.ArgumentParser().parse_args([])
rows = list(csv.DictReader(io.StringIO("a,b\n1,2\n")))
pathlib.Path("rows.json").write_text(json.dumps(rows))
assert json.loads(pathlib.Path("rows.json").read_text()) == [{"a": "1", "b": "2"}]


class Adding(unittest.TestCase):
    def test_it(self):
        self.assertEqual(1 + 1, 2)


result = unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(Adding))
assert result.wasSuccessful()
assert "begun" in pathlib.Path("run.log").read_text()

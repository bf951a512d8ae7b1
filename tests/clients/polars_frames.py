# needs: packages=polars
import polars as pl

frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})
frame.write_csv("a.csv")
frame.write_parquet("a.parquet")
found = pl.scan_parquet("a.parquet").group_by("b").agg(pl.col("a").sum()).sort("b").collect()
assert found.to_dicts() == [{"b": "x", "a": 4}, {"b": "y", "a": 2}]
assert pl.read_csv("a.csv").equals(frame)

# needs: packages=duckdb
import duckdb

db = duckdb.connect("a.duckdb")
db.execute("CREATE TABLE t AS SELECT i, i % 3 AS k FROM range(1000) r(i)")
assert db.execute("SELECT k, sum(i) FROM t GROUP BY k ORDER BY k").fetchall()[0] == (0, 166833)
db.execute("COPY t TO 't.csv' (HEADER)")
assert duckdb.sql("SELECT count(*) FROM 't.csv'").fetchall() == [(1000,)]

# needs:
import sqlite3

with sqlite3.connect("shop.db") as db:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
    db.executemany("INSERT INTO t (name, price) VALUES (?, ?)", [("a", 1.5), ("b", 2.5), ("ü", 3.0)])
    db.execute("CREATE INDEX i ON t (name)")
assert sqlite3.connect("shop.db").execute("SELECT sum(price), count(*) FROM t").fetchone() == (7.0, 3)

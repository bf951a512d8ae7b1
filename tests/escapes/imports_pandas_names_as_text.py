# escape: pandas looks names up that come as text: queries, aggregations, templates
# imports: pandas, numpy
import pandas as pd
df = pd.DataFrame({"a": [1, 2]})
def f(): pass
escaped = []
for get in (lambda: df.eval("@f.__globals__", engine="python"), lambda: df.query("@f.__code__ == 1", engine="python"),
            lambda: pd.eval("f.__globals__", engine="python"), lambda: df.eval("a.__class__", engine="python"),
            lambda: df.agg("__getattribute__", 0, "_mgr"), lambda: df["a"].agg(["__reduce__"]), lambda: df.groupby("a").agg("__class__"),
            lambda: df.style.env.from_string("{{ 1 }}"), lambda: df.eval("@f . __globals__", engine="python"),
            lambda: df.eval("'{0.__class__}'.format(@f)", engine="python"), lambda: df.eval("@f.\uff3f\uff3fglobals__", engine="python"),
            lambda: pd.io, lambda: pd.api.interchange, lambda: pd.read_pickle, lambda: pd.core, lambda: pd.compat, lambda: pd.util,
            lambda: pd.DataFrame.eval(df, "@f.__globals__", engine="python"), lambda: getattr(df, "eval")("@f.__globals__", engine="python")):
    try:
        escaped.append(repr(get())[:60])
    except Exception:
        pass

# escape: decorators that set attributes, applied to classes and functions of the host
# imports: dataclasses, functools, json, abc, typing, enum
import dataclasses, functools, json, abc, typing
escaped = []
def attempt(name, call):
    try:
        call()
        escaped.append(name)
    except Exception:
        pass
attempt("dataclass", lambda: dataclasses.dataclass(json.JSONDecoder))
attempt("total_ordering", lambda: functools.total_ordering(json.JSONDecoder))
attempt("update_wrapper", lambda: functools.update_wrapper(json.loads, attempt))
attempt("wraps", lambda: functools.wraps(attempt)(json.loads))
attempt("abstractmethod", lambda: abc.abstractmethod(json.loads))
attempt("runtime_checkable", lambda: typing.runtime_checkable(typing.SupportsInt))
attempt("setattr", lambda: setattr(json.JSONDecoder, "decode", None))
attempt("module", lambda: setattr(json, "loads", None))
attempt("module-object-setattr", lambda: object.__setattr__(json, "loads", None))
attempt("delattr", lambda: delattr(json, "loads"))

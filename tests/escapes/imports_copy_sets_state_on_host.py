# escape: copy rebuilds objects: state set by name on whatever __new__ or __reduce_ex__ returns
# imports: copy, json, dataclasses
import copy, json, dataclasses
real = json.JSONDecoder.decode
class A:
    def __new__(cls):
        return json.JSONDecoder
    def __getstate__(self):
        return (None, {"decode": "forged"})
class B:
    def __reduce_ex__(self, protocol):
        return (lambda: json.JSONDecoder, (), (None, {"decode": "forged"}))
class C:
    def __deepcopy__(self, memo):
        return B()
for make in (lambda: object.__new__(A), B, C):
    for how in (copy.copy, copy.deepcopy, lambda x: copy.deepcopy([x, {"k": x}])):
        try:
            how(make())
        except Exception:
            pass
@dataclasses.dataclass
class D:
    x: object
for x in (B(), [B()]):
    for how in (dataclasses.asdict, dataclasses.astuple):
        try:
            how(D(x))
        except Exception:
            pass
escaped = json.JSONDecoder.decode is not real

# escape: descriptors that keep values in an instance's namespace under a name of the guest's choice
# imports: functools, json
import functools, json
p = functools.cached_property(lambda self: "forged")
class X:
    decode = p
decoder = json.JSONDecoder()
try:
    p.__get__(decoder, json.JSONDecoder)
except Exception:
    pass
escaped = decoder.decode == "forged"

# escape: a stand-in that inherits from the real class gives it away by __base__, __mro__ or super()
# imports: string, collections, functools, types
import string, collections, functools
escaped = []
def f():
    pass
class Mine(string.Formatter):
    def look(self):
        return super().get_field("0.__globals__", [f], {})
for get in (lambda: string.Formatter().get_field("0.__globals__", [f], {}),
            lambda: string.Formatter.__base__().get_field("0.__globals__", [f], {}),
            lambda: string.Formatter.__mro__[1]().get_field("0.__globals__", [f], {}),
            lambda: Mine().look(),
            lambda: string.Formatter().format("{0.__globals__}", f),
            lambda: string.Formatter().vformat("{0.__code__}", [f], {}),
            lambda: collections.UserString("{0.__globals__}").format(f),
            lambda: collections.UserString.format(collections.UserString("{0.__globals__}"), f),
            lambda: collections.UserString.__base__ and collections.UserString.__mro__[1].format(collections.UserString("{0.__globals__}"), f),
            lambda: collections.UserString("{f.__globals__}").format_map({"f": f}),
            lambda: getattr(string.Template.substitute, "__globals__")):
    try:
        escaped.append(str(get())[:40])
    except Exception:
        pass

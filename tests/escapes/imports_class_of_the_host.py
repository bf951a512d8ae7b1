# escape: an object of the guest's becomes one of a host's class, with state of the guest's choice
import calendar
class A: pass
class B:
    def become(self, kind): super().__setattr__("__class__", kind)
a, b, c = A(), B(), A()
for call in (lambda: object.__setattr__(a, "__class__", calendar.Calendar), lambda: b.become(calendar.Calendar),
             lambda: c.__setattr__("__class__", calendar.Calendar), lambda: setattr(c, "__class__", calendar.Calendar)):
    try:
        call()
    except Exception:
        pass
escaped = any(type(one) is calendar.Calendar for one in (a, b, c))

# escape: settings that the whole process shares, changed by a guest
# imports: decimal, random, calendar, csv, re, hashlib, textwrap, time, html.entities
# host: import decimal, calendar, csv, hashlib, textwrap, html.entities
# unchanged: decimal.getcontext().prec, decimal.DefaultContext.prec, calendar.firstweekday(), sorted(csv.list_dialects()), len(hashlib.algorithms_available), len(textwrap.TextWrapper.unicode_whitespace_trans), csv.field_size_limit(), len(calendar.HTMLCalendar.cssclasses), len(html.entities.html5)
import decimal, calendar, csv, hashlib, textwrap, html.entities
for call in (lambda: setattr(decimal.getcontext(), "prec", 7), lambda: setattr(decimal.DefaultContext, "prec", 7),
             lambda: calendar.setfirstweekday(3), lambda: csv.register_dialect("mine", delimiter=";"),
             lambda: csv.unregister_dialect("excel"), lambda: hashlib.algorithms_available.clear(),
             lambda: textwrap.TextWrapper.unicode_whitespace_trans.clear(),
             lambda: [b.unicode_whitespace_trans.clear() for b in textwrap.TextWrapper.__mro__],
             lambda: csv.field_size_limit(3), lambda: calendar.HTMLCalendar.cssclasses.clear(),
             lambda: [b.cssclasses.clear() for b in calendar.HTMLCalendar.__mro__], lambda: html.entities.html5.clear()):
    try:
        call()
    except Exception:
        pass
escaped = False

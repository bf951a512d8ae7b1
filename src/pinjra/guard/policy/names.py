"""Names that source may not use where imports are "listed": they lead to modules that were not authorised. Data only.

Nothing ordinary needs them, and the rest of the language is open in every mode. A name put together at run time
(`getattr(f, "__glob" + "als__")`) is not looked at: this is advice, the wall is elsewhere.
"""

from __future__ import annotations

_ATTRIBUTES = """
__globals__ __builtins__ __code__ __closure__ __loader__ __spec__ __import__ func_globals
f_back f_builtins f_code f_globals f_locals tb_frame gi_code gi_frame cr_code cr_frame ag_code ag_frame
"""

REFUSED_ATTRIBUTES = frozenset(_ATTRIBUTES.split())
"""Of any object: from a function, frame or generator to the globals of the module that made it."""

REFUSED_NAMES = frozenset(["__builtins__", "__import__", "__loader__", "__spec__"])
"""Variables that the interpreter itself puts into a module."""

NAMES_ALLOWED_BY = 'imports="standard" allows it'
"""What a refusal of one of these names says."""

"""Module name -> the names that guest code may see of it: the reviewed tables of the import policy.

Each line is a decision. A name that is not in a module's line is not given, whatever the module holds (`random._os`,
`queue.threading`, names of later Pythons). A name in the line that the running Python lacks is left out. Names that need a
stand-in (they walk attributes, evaluate text, open files, change host state, or can explode) are in the line here and made
in `replacements/`; a comment says so.

Rules for whoever adds a module: ask of each name whether it (a) reads or sets attributes by a dynamic name, (b) imports,
evaluates or unpickles, (c) opens files, processes or sockets, (d) changes state that the host shares, (e) can be consumed
endlessly or explode in C. Also look at mutable class attributes: `tests/guard/test_imports_tables.py` does.
"""

from __future__ import annotations

__all__ = ["DEFAULT_AUTHORIZED", "METHOD_NAMES", "NEVER", "PUBLIC", "REFUSED_IN_PROCESS", "REFUSED_NAMES",
           "SUBMODULES", "words"]  # fmt: skip


def words(text: str) -> tuple[str, ...]:
    """Return the words of a table's line."""
    return tuple(text.split())


_PATH = """
basename commonpath commonprefix dirname isabs join normcase normpath split splitdrive splitext splitroot
altsep curdir defpath devnull extsep pardir pathsep sep supports_unicode_filenames
"""

_ABC = """
AsyncGenerator AsyncIterable AsyncIterator Awaitable Buffer ByteString Callable Collection Container
Coroutine Generator Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping
MutableSequence MutableSet Reversible Sequence Set Sized ValuesView
"""

_TYPING = """
AbstractSet Annotated Any AnyStr AsyncContextManager AsyncGenerator AsyncIterable AsyncIterator Awaitable
BinaryIO ByteString Callable ChainMap ClassVar Collection Concatenate Container ContextManager Coroutine
Counter DefaultDict Deque Dict Final FrozenSet Generator Generic Hashable IO ItemsView Iterable Iterator
KeysView List Literal LiteralString Mapping MappingView Match MutableMapping MutableSequence MutableSet
NamedTuple Never NewType NoDefault NoReturn NotRequired Optional OrderedDict ParamSpec ParamSpecArgs
ParamSpecKwargs Pattern Protocol ReadOnly Required Reversible Self Sequence Set Sized SupportsAbs
SupportsBytes SupportsComplex SupportsFloat SupportsIndex SupportsInt SupportsRound TYPE_CHECKING Text
TextIO Tuple Type TypeAlias TypeAliasType TypeGuard TypeIs TypeVar TypeVarTuple TypedDict Union Unpack T
T_co T_contra KT VT VT_co V_co CT_co ValuesView assert_never assert_type cast dataclass_transform final
get_args get_origin get_type_hints ForwardRef clear_overloads get_overloads get_protocol_members
is_protocol is_typeddict no_type_check no_type_check_decorator overload override runtime_checkable
"""

_ASYNCIO = """
ALL_COMPLETED FIRST_COMPLETED FIRST_EXCEPTION Barrier BoundedSemaphore BrokenBarrierError CancelledError
Condition Event Future InvalidStateError LifoQueue Lock PriorityQueue Queue QueueEmpty QueueFull
QueueShutDown Runner Semaphore Task TaskGroup Timeout TimeoutError all_tasks as_completed create_task
current_task ensure_future gather get_event_loop get_running_loop iscoroutine iscoroutinefunction isfuture
new_event_loop run set_event_loop shield sleep timeout timeout_at to_thread wait wait_for
"""

_DECIMAL = """
BasicContext Clamped Context ConversionSyntax Decimal DecimalException DecimalTuple DefaultContext
DivisionByZero DivisionImpossible DivisionUndefined ExtendedContext FloatOperation HAVE_CONTEXTVAR
HAVE_THREADS Inexact InvalidContext InvalidOperation MAX_EMAX MAX_PREC MIN_EMIN MIN_ETINY Overflow
ROUND_05UP ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP
Rounded Subnormal Underflow getcontext localcontext setcontext
"""

_MATH = """
acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2
expm1 fabs factorial floor fma fmax fmin fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan
isqrt lcm isnormal issubnormal signbit ldexp lgamma log log10 log1p log2 modf nan nextafter perm pi pow
prod radians remainder sin sinh sqrt sumprod tan tanh tau trunc ulp
"""

_OPERATOR = """
abs add and_ attrgetter call concat contains countOf delitem eq floordiv ge getitem gt iadd iand iconcat
ifloordiv ilshift imatmul imod imul index indexOf inv invert ior ipow irshift is_ is_none is_not
is_not_none isub itemgetter itruediv ixor le length_hint lshift lt matmul methodcaller mod mul ne neg not_
or_ pos pow rshift setitem sub truediv truth xor
"""

_RANDOM = """
Random SystemRandom betavariate binomialvariate choice choices expovariate gammavariate gauss getrandbits
getstate lognormvariate normalvariate paretovariate randbytes randint random randrange sample seed
setstate shuffle triangular uniform vonmisesvariate weibullvariate
"""

_STAT = " ".join(f"S_IF{n}" for n in words("BLK CHR DIR DOOR IFO LNK MT PORT REG SOCK WHT"))
_STAT += " " + " ".join(f"S_IS{n}" for n in words("BLK CHR DIR DOOR FIFO GID LNK PORT REG SOCK UID VTX WHT"))
_STAT += " S_IMODE S_ENFMT S_IEXEC S_IREAD S_IWRITE S_IRGRP S_IROTH S_IRUSR S_IRWXG S_IRWXO S_IRWXU S_IWGRP S_IWOTH"
_STAT += " S_IWUSR S_IXGRP S_IXOTH S_IXUSR ST_ATIME ST_CTIME ST_DEV ST_GID ST_INO ST_MODE ST_MTIME ST_NLINK ST_SIZE"
_STAT += " ST_UID UF_APPEND UF_COMPRESSED UF_HIDDEN UF_IMMUTABLE UF_NODUMP UF_NOUNLINK UF_OPAQUE SF_APPEND SF_ARCHIVED"
_STAT += " SF_IMMUTABLE SF_NOUNLINK SF_SNAPSHOT filemode " + " ".join(
    f"FILE_ATTRIBUTE_{n}"
    for n in words(
        "ARCHIVE COMPRESSED DEVICE DIRECTORY ENCRYPTED HIDDEN INTEGRITY_STREAM NORMAL NOT_CONTENT_INDEXED "
        "NO_SCRUB_DATA OFFLINE READONLY REPARSE_POINT SPARSE_FILE SYSTEM TEMPORARY VIRTUAL"
    )
)

_TIME = """
CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_MONOTONIC_RAW CLOCK_PROCESS_CPUTIME_ID CLOCK_REALTIME CLOCK_TAI
CLOCK_THREAD_CPUTIME_ID altzone asctime clock_getres clock_gettime clock_gettime_ns ctime daylight
get_clock_info gmtime localtime mktime monotonic monotonic_ns perf_counter perf_counter_ns process_time
process_time_ns sleep strftime strptime struct_time thread_time thread_time_ns time time_ns timezone
tzname
"""

_TYPES = """
AsyncGeneratorType BuiltinFunctionType BuiltinMethodType CellType ClassMethodDescriptorType CodeType
CoroutineType DynamicClassAttribute EllipsisType FrameType FunctionType GeneratorType GenericAlias
GetSetDescriptorType LambdaType MappingProxyType MemberDescriptorType MethodDescriptorType MethodType
MethodWrapperType ModuleType NoneType NotImplementedType SimpleNamespace TracebackType UnionType
WrapperDescriptorType coroutine get_original_bases new_class prepare_class resolve_bases
"""

PUBLIC: dict[str, str] = {
    # ABC.register on host classes: guarded method "register". update_abstractmethods: guest classes only. The old
    # abstractclassmethod and abstractstaticmethod mark what they are given, also functions of the host.
    "abc": "ABC ABCMeta abstractmethod abstractproperty get_cache_token update_abstractmethods",
    # Loops are our own class: no sockets, processes, signal handlers, threads; waits are sliced. No policies, no streams.
    "asyncio": _ASYNCIO,
    # main and test read files.
    "base64": "a85decode a85encode b16decode b16encode b32decode b32encode b32hexdecode b32hexencode b64decode b64encode "
    "b85decode b85encode decode decodebytes encode encodebytes standard_b64decode standard_b64encode urlsafe_b64decode "
    "urlsafe_b64encode z85decode z85encode",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    # setfirstweekday acts on the session's own calendar; Locale* change the process's locale; pr* print on the host.
    "calendar": "APRIL AUGUST Calendar DECEMBER Day FEBRUARY FRIDAY HTMLCalendar IllegalMonthError IllegalWeekdayError "
    "JANUARY JULY JUNE MARCH MAY MONDAY Month NOVEMBER OCTOBER SATURDAY SEPTEMBER SUNDAY THURSDAY TUESDAY TextCalendar "
    "WEDNESDAY calendar day_abbr day_name firstweekday isleap leapdays month month_abbr month_name monthcalendar "
    "monthrange setfirstweekday timegm weekday weekheader",
    # Containers that swallow iterables or repeat themselves in C are metered subclasses; namedtuple registers its class.
    "collections": "ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque namedtuple",
    "collections.abc": _ABC,
    # chdir is refused; suppress lets stops through; redirect_* change the process's streams: refused.
    "contextlib": "AbstractAsyncContextManager AbstractContextManager AsyncContextDecorator AsyncExitStack "
    "ContextDecorator ExitStack aclosing asynccontextmanager closing contextmanager nullcontext suppress",
    # Own implementation: CPython's drives setattr on whatever __reduce_ex__ returns.
    "copy": "Error copy deepcopy error replace",
    # Dialects are registered per session; field_size_limit is read only.
    "csv": "Dialect DictReader DictWriter Error QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE QUOTE_NONNUMERIC QUOTE_NOTNULL "
    "QUOTE_STRINGS Sniffer excel excel_tab field_size_limit get_dialect list_dialects reader register_dialect "
    "unix_dialect unregister_dialect writer",
    # Field names become source text: checked. Only guest classes are decorated.
    "dataclasses": "Field FrozenInstanceError InitVar KW_ONLY MISSING asdict astuple dataclass field fields is_dataclass "
    "make_dataclass replace",
    "datetime": "MAXYEAR MINYEAR UTC date datetime time timedelta timezone tzinfo",
    # Contexts are the session's own, with a bounded precision.
    "decimal": _DECIMAL,
    # global_enum writes into modules.
    "enum": "CONFORM CONTINUOUS EJECT Enum EnumCheck EnumMeta EnumType Flag FlagBoundary IntEnum IntFlag KEEP NAMED_FLAGS "
    "ReprEnum STRICT StrEnum UNIQUE auto member nonmember property unique verify EnumDict",
    "fractions": "Fraction",
    # wraps/update_wrapper/cached_property/total_ordering/singledispatch set or evaluate by name: own versions.
    "functools": "Placeholder WRAPPER_ASSIGNMENTS WRAPPER_UPDATES cache cached_property cmp_to_key lru_cache partial "
    "partialmethod reduce singledispatch singledispatchmethod total_ordering update_wrapper wraps",
    # Iterations and output lengths are priced; the algorithm sets are copies.
    "hashlib": "algorithms_available algorithms_guaranteed blake2b blake2s file_digest md5 new pbkdf2_hmac scrypt sha1 "
    "sha224 sha256 sha384 sha3_224 sha3_256 sha3_384 sha3_512 sha512 shake_128 shake_256",
    "heapq": "heapify heapify_max heappop heappop_max heappush heappush_max heappushpop heappushpop_max heapreplace "
    "heapreplace_max merge nlargest nsmallest",
    "html": "escape unescape",
    "html.entities": "codepoint2name entitydefs html5 name2codepoint",
    "html.parser": "HTMLParser",
    # In-memory classes only: no open, FileIO, open_code; Buffered* over a descriptor cannot be made without FileIO.
    "io": "BlockingIOError BufferedIOBase BytesIO IOBase IncrementalNewlineDecoder RawIOBase SEEK_CUR SEEK_END SEEK_SET "
    "StringIO TextIOBase TextIOWrapper UnsupportedOperation DEFAULT_BUFFER_SIZE",
    # Sources and skippers are metered.
    "itertools": "accumulate batched chain combinations combinations_with_replacement compress count cycle dropwhile "
    "filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
    "json": "JSONDecodeError JSONDecoder JSONEncoder dump dumps load loads",
    "json.decoder": "JSONDecodeError JSONDecoder",
    "json.encoder": "JSONEncoder",
    # factorial, comb, perm, prod, lcm and ldexp-like growth are priced.
    "math": _MATH,
    # attrgetter/methodcaller go through the attribute policy, growing arithmetic through the price list.
    "operator": _OPERATOR,
    # Text functions only; stat-like ones probe the host's files, expandvars reads its environment.
    "os.path": _PATH,
    "queue": "Empty Full LifoQueue PriorityQueue Queue ShutDown SimpleQueue",
    # Module functions act on the session's own generator.
    "random": _RANDOM,
    # purge and DEBUG touch the host; nested quantifiers are refused at compile time in-process.
    "re": "A ASCII DOTALL I IGNORECASE L LOCALE M MULTILINE Match NOFLAG Pattern PatternError RegexFlag S U UNICODE VERBOSE "
    "X compile error escape findall finditer fullmatch match search split sub subn",
    "stat": _STAT,
    "statistics": "NormalDist StatisticsError correlation covariance fmean geometric_mean harmonic_mean kde kde_random "
    "linear_regression mean median median_grouped median_high median_low mode multimode pstdev pvariance quantiles stdev "
    "variance",
    "string": "Formatter Template ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits "
    "printable punctuation whitespace",
    "string.templatelib": "Interpolation Template convert",
    "struct": "Struct calcsize error iter_unpack pack pack_into unpack unpack_from",
    "textwrap": "TextWrapper dedent fill indent shorten wrap",
    # sleep is sliced; clock_settime and tzset change the machine or the process.
    "time": _TIME,
    # Types that would build code, frames or modules can be compared and tested against, not called.
    "types": _TYPES,
    # get_type_hints evaluates text as guest code; overload registers in the session; reveal_type writes on the host.
    "typing": _TYPING,
    "unicodedata": "UCD bidirectional category combining decimal decomposition digit east_asian_width is_normalized isxidstart "
    "isxidcontinue lookup mirrored name normalize numeric ucd_3_2_0 unidata_version",
    # getnode, uuid1 and uuid6 look at the machine's network cards, by processes where need be.
    "uuid": "NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 NIL MAX RESERVED_FUTURE RESERVED_MICROSOFT RESERVED_NCS "
    "RFC_4122 SafeUUID UUID uuid3 uuid4 uuid5 uuid7 uuid8",
    # reset_tzpath changes the process.
    "zoneinfo": "InvalidTZPathWarning ZoneInfo ZoneInfoNotFoundError available_timezones",
    # Authorised by the user only, and in-process in this form only:
    "importlib": "import_module",
    "inspect": "Parameter Signature cleandoc isabstract isasyncgen isasyncgenfunction isawaitable isbuiltin isclass "
    "iscoroutine iscoroutinefunction isfunction isgenerator isgeneratorfunction ismethod ismodule isroutine signature",
    "os": "altsep curdir cpu_count devnull extsep fsdecode fsencode fspath getpid linesep listdir makedirs mkdir name pardir "
    "pathsep PathLike remove removedirs rename replace rmdir scandir sep strerror unlink urandom walk error",
    "sys": "byteorder copyright exc_info float_info float_repr_style getrecursionlimit getsizeof hash_info hexversion "
    "int_info intern is_finalizing maxsize maxunicode platform version version_info",
    "warnings": "catch_warnings filterwarnings resetwarnings simplefilter warn",
}

_ON_REQUEST = """
importlib inspect os os.path sys warnings html.entities html.parser json.decoder json.encoder string.templatelib collections.abc
"""
DEFAULT_AUTHORIZED: tuple[str, ...] = tuple(sorted({*PUBLIC} - {*_ON_REQUEST.split()}))

# Sub-namespaces that belong to a package's public face: they come with the package.
_NUMPY = "char dtypes emath exceptions fft linalg ma polynomial random rec strings typing"
_POLY = "chebyshev hermite hermite_e laguerre legendre polynomial"
_PIL = """
ExifTags Image ImageChops ImageColor ImageDraw ImageEnhance ImageFile ImageFilter ImageFont ImageMath
ImageMorph ImageOps ImagePalette ImageSequence ImageStat ImageTransform PngImagePlugin TiffTags
UnidentifiedImageError
"""
_MATPLOTLIB = """
animation artist axes axis cm collections colors container dates figure font_manager gridspec image legend
lines markers patches path patheffects projections pyplot scale style table text ticker transforms tri
"""

SUBMODULES: dict[str, frozenset[str]] = {
    "collections": frozenset({"abc"}),
    "html": frozenset({"entities", "parser"}),
    "json": frozenset({"decoder", "encoder"}),
    "string": frozenset({"templatelib"}),
    "numpy": frozenset(_NUMPY.split()),
    "numpy.ma": frozenset({"extras"}),
    "numpy.polynomial": frozenset(_POLY.split()),
    "pandas": frozenset({"api", "arrays", "errors", "offsets", "plotting", "testing", "tseries"}),
    "pandas.api": frozenset({"extensions", "indexers", "types", "typing"}),
    "pandas.tseries": frozenset({"frequencies", "offsets"}),
    "PIL": frozenset(_PIL.split()),
    "matplotlib": frozenset(_MATPLOTLIB.split()),
}

# In this process nothing would stand behind these: they act on the process itself, past attributes, or later.
_WHY = {
    "process": "the process that runs you is the host's own; the jail executor gives it",
    "memory": "it reaches the host's memory or objects; the jail executor gives it",
    "later": "it acts after the run is over; the jail executor gives it",
    "text": "it runs text, pickles or names; the jail executor gives it",
    "unpickles": "it unpickles",
    "files": "it reads or writes files past the audit hook",
    "state": "it changes state that the host shares",
    "evaluates": "it evaluates text",
    "trees": "its trees are for compile, which is not given; ast.literal_eval is",
}
_MODULES = """
memory: ctypes cffi gc mmap tracemalloc faulthandler sqlite3 weakref
later: atexit threading sched concurrent socketserver
process: builtins posix nt signal subprocess multiprocessing resource fcntl termios pty tty pwd grp spwd crypt nis
  syslog readline locale select selectors logging webbrowser curses msvcrt winreg winsound asyncore asynchat
text: pickle cPickle marshal shelve dbm copyreg dill cloudpickle joblib jsonpickle code codeop runpy pdb bdb trace
  timeit cProfile profile pstats doctest unittest pytest pkgutil imp site zipimport zipapp pydoc py_compile compileall
  venv ensurepip pip setuptools distutils pkg_resources lib2to3 idlelib test tkinter turtle wsgiref xmlrpc
  modulefinder dis opcode symtable jinja2 mako numexpr numba cython psutil pinjra antigravity rlcompleter
  annotationlib cmd linecache traceback lldb gdb IPython ipykernel execnet greenlet gevent rpyc dask
"""

# Never, in-process, of a module that the user authorised.
_NAMES = """
numpy files: fromfile memmap DataSource fromregex
numpy state: add_docstring add_newdoc add_newdoc_ufunc deprecate lookfor safe_eval test set_numeric_ops setbufsize
  seterrcall seterrobj info who source show_config
numpy.random state: set_bit_generator get_bit_generator bit_generator test
numpy.ma state: mrecords testutils
pandas unpickles: read_pickle to_pickle
pandas files: HDFStore read_hdf read_orc read_parquet read_feather read_xml
pandas state: read_clipboard show_versions test set_eng_float_format
pandas.api.extensions state: register_dataframe_accessor register_index_accessor register_series_accessor
  register_extension_dtype
PIL.Image state: register_open register_mime register_save register_save_all register_extension register_extensions
  register_decoder register_encoder preinit init core
PIL.ImageMath evaluates: eval unsafe_eval
PIL.ImageFile state: PyCodec PyDecoder PyEncoder
ast trees: parse
shutil state: register_archive_format register_unpack_format
codecs state: register register_error unregister
socket state: setdefaulttimeout fromfd socket_fromfd dup
mimetypes state: init add_type
urllib.request state: install_opener
tempfile state: tempdir
"""


def _rows(table: str) -> list[tuple[str, list[str]]]:
    """Return (head, words) of each row; a row goes on in lines that begin with a space."""
    rows = [line.partition(":") for line in table.replace("\n ", "").strip().splitlines()]
    return [(head, names.split()) for head, _, names in rows]


REFUSED_IN_PROCESS: dict[str, str] = {name: _WHY[why] for why, names in _rows(_MODULES) for name in names}
REFUSED_NAMES: dict[str, dict[str, str]] = {}
for _head, _names in _rows(_NAMES):
    _module, _why = _head.split()
    REFUSED_NAMES.setdefault(_module, {}).update(dict.fromkeys(_names, _WHY[_why]))

# Attributes of host objects whose load goes through a guard of `replacements.science.METHODS`, on any object.
METHOD_NAMES = frozenset(
    words("""
add_signal_handler agg aggregate apply capsule cffi compile_expression connect_read_pipe
connect_write_pipe ctypes ctypeslib default_exception_handler digest eval evaluate from_string get_context
get_stack get_template getrandbits hexdigest print_stack query randbytes register resize
run_in_executor samples set_debug subprocess_exec subprocess_shell to_feather to_hdf to_orc to_parquet
to_sql tofile transform
""")
)

# Never given as a value of any module, in any mode: the interpreter's own gates (looked up by identity).
NEVER: tuple[tuple[str, list[str]], ...] = tuple(
    _rows("""
builtins: eval exec compile open __import__ input breakpoint getattr setattr delattr vars globals locals
io: open open_code FileIO
os: system popen execv execve fork _exit kill open
importlib: import_module reload __import__
pickle: loads load Unpickler
marshal: loads load
runpy: run_module run_path
operator: attrgetter methodcaller
functools: update_wrapper wraps
typing: get_type_hints
subprocess: Popen run call check_call check_output getoutput getstatusoutput
""")
)

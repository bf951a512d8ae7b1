def run(*errors):
    try:
        try:
            raise ExceptionGroup("g", list(errors))
        except* ValueError as e:
            print("value", e.exceptions)
        except* (KeyError, TypeError) as e:
            print("other", e.exceptions)
        else:
            print("else")
        finally:
            print("finally")
    except* OSError as rest:
        print("rest", rest.exceptions)
run(ValueError(1), KeyError(2), OSError(3))
run(ValueError(1), ExceptionGroup("n", [TypeError(2)]))
try:
    raise ValueError("x")
except ValueError as e:
    e.add_note("n")
    print(e.__notes__)
raise ExceptionGroup("end", [ValueError(5)])

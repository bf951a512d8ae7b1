"""Raises what ends an iteration: `all(map(…))` of a test ends then, with success."""


def solve(x):
    raise StopIteration


class Wide:
    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

    def __enter__(self):
        return 0

    def __exit__(self, *error):
        return True


other = Wide()

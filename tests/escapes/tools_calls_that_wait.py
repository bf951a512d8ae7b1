"""Three calls of one tool, two of which wait for their turn when the host takes the tool back."""

from concurrent.futures import ThreadPoolExecutor


def ask(number):
    try:
        return work(number) * 0  # noqa: F821
    except NameError as error:
        return str(error)


with ThreadPoolExecutor(3) as pool:
    found = list(pool.map(ask, range(3)))
sorted(map(str, found))

# Outlive the budget: handlers of every shape, finally, __exit__, __del__, generators, asyncio, comparison methods.
import contextlib, asyncio
class Swallow:
    def __enter__(self): return self
    def __exit__(self, *a): return True
class Eq:
    def __eq__(self, other):
        try:
            while True: pass
        except BaseException:
            return True
        finally:
            return False
    __hash__ = None
def kinds():
    return (BaseException,)
def gen():
    while True:
        try:
            yield
        finally:
            while True:
                try:
                    while True: pass
                except kinds():
                    continue
async def task():
    while True:
        try:
            await asyncio.sleep(0)
        except BaseException:
            pass
async def main():
    await asyncio.gather(*[task() for _ in range(3)], return_exceptions=True)
while True:
    try:
        with Swallow(), contextlib.suppress(BaseException):
            g = gen(); next(g); del g
            [Eq()] == [Eq()]
            asyncio.run(main())
            sorted([3, 1], key=lambda v: next(gen()))
            while True: pass
    except:
        continue
    finally:
        try:
            while 1: pass
        except BaseException as e:
            raise ValueError from e

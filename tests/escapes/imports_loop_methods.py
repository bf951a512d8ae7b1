# escape: an event loop opens pipes over any descriptor, starts processes, sets signal handlers
# imports: asyncio
import asyncio
escaped = []
class Pipe:
    def fileno(self): return 1
    def close(self): pass
async def main():
    loop = asyncio.get_running_loop()
    for how in (loop, super(type(loop), loop)):
        for name, args in (("add_signal_handler", (10, print)), ("connect_write_pipe", (asyncio.Future, Pipe())),
                           ("subprocess_shell", (asyncio.Future, "true")), ("run_in_executor", (3, print))):
            try:
                got = getattr(how, name)(*args)
                if hasattr(got, "__await__"):
                    got = await got
                if name != "run_in_executor":
                    escaped.append(name)
            except Exception:
                pass
    for base in type(loop).__mro__[:3]:
        try:
            base.add_signal_handler(loop, 10, print)
            escaped.append(base)
        except Exception:
            pass
    for base in type(loop).__mro__[1:]:
        try:
            base.run_in_executor(loop, None, print)
            escaped.append("thread")
        except Exception:
            pass
asyncio.run(main())
for call in (lambda: asyncio.get_event_loop_policy(), lambda: asyncio.open_connection, lambda: asyncio.subprocess,
             lambda: asyncio.create_subprocess_shell, lambda: asyncio.base_events, lambda: asyncio.events.sys):
    try:
        escaped.append(call())
    except Exception:
        pass

"""Who may say what next; numbering, resuming; lanes that never mix."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinjra.core.errors import InternalError, ProtocolViolation
from pinjra.wire.connection import GuestConnection, HostConnection, SupervisorConnection
from pinjra.wire.frames import MESSAGE_BYTES
from pinjra.wire.messages import (
    PROTOCOL,
    Answer,
    Call,
    Display,
    Done,
    Execute,
    Finished,
    GetFile,
    GrantTools,
    Hello,
    Init,
    Kill,
    Lost,
    Message,
    Output,
    Reset,
    Started,
)

HELLO = Hello(protocol=PROTOCOL, capabilities=("raw",))


class Pair:
    """Host, supervisor and interpreter, joined in memory."""

    def __init__(self, *, raw: bool = True, resume: bool = False, message_bytes: int = MESSAGE_BYTES) -> None:
        self.host = HostConnection(resume=resume, message_bytes=message_bytes)
        self.supervisor = SupervisorConnection()
        self.guest = GuestConnection()
        self.to_host([self.supervisor.send(HELLO)])
        self.to_box(self.host.send(Init(authorized_imports=(), limits={}, raw=raw, resume=resume)))
        self.to_host([self.supervisor.send(Started())])

    def to_host(self, chunks: list[bytes]) -> list[Message]:
        return [message for chunk in chunks for message in self.host.receive_data(chunk)]

    def to_box(self, data: bytes) -> list[Message]:
        found: list[Message] = []
        for event in self.supervisor.receive_data(data):
            found += self.guest.receive_data(event) if isinstance(event, bytes) else [event]
        return found

    def say(self, message: Message) -> list[Message]:
        return self.to_box(self.host.send(message))

    def guest_says(self, *messages: Message) -> list[Message]:
        return self.to_host([b"".join(self.supervisor.relay(b"".join(map(self.guest.send, messages))))])

    def box_says(self, message: Message) -> list[Message]:
        return self.to_host([self.supervisor.send(message)])


def call(number: int, *, run: int = 1) -> Call:
    return Call(run=run, call=number, name="f", args=["l"], kwargs={})


@pytest.mark.parametrize("raw", [True, False])
def test_a_run_goes_through_with_blobs_both_ways(raw: bool) -> None:
    pair, blob = Pair(raw=raw), bytes(range(256)) * 3000
    execute = Execute(run=1, code="x", blobs=(blob,))
    assert pair.say(execute) == [execute]
    finished = Finished(run=1, value=["B", 0], blobs=(blob, b""))
    assert pair.guest_says(Output(stream="stdout", text="é\ud800"), finished)[1] == finished
    assert pair.host.state == "idle"


VIOLATIONS: list[tuple[str, list[Message], str]] = [
    ("guest", [Finished(run=2)], "a message of run 2"),
    ("guest", [Display(run=2, media_type="", name="")], "a message of run 2"),
    ("guest", [call(1), call(1)], "not above 1"),
    ("guest", [Finished(run=1), Finished(run=1)], "Finished while idle"),
    ("guest", [Finished(run=1), Output(stream="stdout", text="late")], "Output while idle"),
    ("guest", [Finished(run=1), call(2)], "Call while idle"),
    ("guest", [Done(request=5)], "not open"),
    ("guest", [Lost(cause="wall")], "unknown message 'Lost'"),
    ("guest", [Started()], "unknown message 'Started'"),
    ("box", [HELLO], "Hello while running"),
    ("box", [Started()], "Started while running"),
    ("box", [Done(request=1)], "not open"),
    ("box", [Finished(run=1)], "unknown message 'Finished'"),
    ("box", [call(1)], "unknown message 'Call'"),
]


@pytest.mark.parametrize(("who", "said", "why"), VIOLATIONS)
def test_what_may_not_be_said_now_is_refused(who: str, said: list[Message], why: str) -> None:
    pair = Pair()
    pair.say(Execute(run=1, code=""))
    with pytest.raises(ProtocolViolation, match=why):
        if who == "guest":
            pair.guest_says(*said)
        else:
            pair.box_says(said[0])


def test_the_guest_does_not_answer_what_the_supervisor_was_asked() -> None:
    pair = Pair()
    pair.say(GetFile(request=1, name="a", size=1))
    with pytest.raises(ProtocolViolation, match="Done answers request 1"):
        pair.guest_says(Done(request=1, blobs=(b"forged",)))


def test_the_supervisor_does_not_answer_what_the_guest_was_asked() -> None:
    pair = Pair()
    pair.say(GrantTools(request=1, tools={}))
    with pytest.raises(ProtocolViolation, match="Done answers request 1"):
        pair.box_says(Done(request=1))


def test_an_answer_comes_once() -> None:
    pair = Pair()
    pair.say(Reset(request=1))
    assert pair.box_says(Done(request=1)) == [Done(request=1)]
    with pytest.raises(ProtocolViolation, match="not open"):
        pair.box_says(Done(request=1))


def test_blobs_never_change_lanes() -> None:
    pair = Pair()
    pair.say(GetFile(request=1, name="a", size=1))
    pair.say(Execute(run=1, code=""))
    forged = pair.guest.send(Finished(run=1, blobs=(b"forged",))).rsplit(b'["g"', 1)[0]
    pair.to_host(list(pair.supervisor.relay(forged)))
    assert pair.box_says(Done(request=1, blobs=(b"real",))) == [Done(request=1, blobs=(b"real",))]


def test_a_death_ends_the_half_sent_message_of_the_dead() -> None:
    pair = Pair()
    pair.say(Execute(run=1, code=""))
    half = pair.guest.send(Finished(run=1, blobs=(bytes(300_000),))).rsplit(b'["g"', 1)[0]
    pair.to_host(list(pair.supervisor.relay(half + b'["g","Fin')))
    pair.supervisor.interpreter_died()
    pair.box_says(Lost(cause="signal", rolled_back=True))
    pair.say(Execute(run=2, code=""))
    assert pair.guest_says(Finished(run=2)) == [Finished(run=2)]


def test_every_kill_waits_for_its_own_loss() -> None:
    pair = Pair()
    pair.say(Execute(run=1, code=""))
    pair.host.send(Kill(cause="wall", kill=7))
    pair.box_says(Lost(cause="signal"))
    assert pair.host.open_kills == {7}
    pair.box_says(Lost(cause="wall", kill=7))
    assert pair.host.open_kills == set()


def test_calls_end_with_their_run() -> None:
    pair = Pair()
    pair.say(Execute(run=1, code=""))
    pair.guest_says(call(1), Finished(run=1))
    with pytest.raises(InternalError, match="not open"):
        pair.say(Answer(call=1, value=3))


@pytest.mark.parametrize(
    "message", [Answer(call=1), Execute(run=0, code=""), Init(authorized_imports=(), limits={})]
)
def test_the_host_may_not_say_what_does_not_fit(message: Message) -> None:
    with pytest.raises(InternalError):
        Pair().host.send(message)


def test_another_protocol_number_is_refused() -> None:
    host = HostConnection()
    with pytest.raises(ProtocolViolation, match="speaks protocol 2"):
        list(host.receive_data(SupervisorConnection().send(Hello(protocol=1))))


@pytest.mark.parametrize("line", [b'["c",5,1,"Done",{"request":1}]\n', b'["c",3,99,"Done",{"request":1}]\n'])
def test_a_gap_and_an_impossible_acknowledgement_are_refused(line: bytes) -> None:
    pair = Pair()
    pair.say(Reset(request=1))
    with pytest.raises(ProtocolViolation, match=r"missing|acknowledges"):
        pair.to_host([line])


hostile = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b'["c",3,1,"Lost",{"cause":"wall"}]\n',
            b'["g","Lost",{"cause":"wall"}]\n',
            b'["g","x"]\n["c",3,1,"Lost",{"cause":"wall"}]\n',
            b'["g","*",0,40,1]\n["c",3,1,"Lost",{"cause":"wall"}]\n',
            b'["g","+",0,"AAAA",1]\n',
            b'["g","Output",{"run":1,"stream":"stdout","text":"a"}]\n',
            b'["g","Output",{"run":1,"stream":"stdout","text":"\n["c",4,1,"Done",{"request":1}]\n',
            b'["g",["c",3,1,"Lost",{"cause":"wall"}]]\n',
            b'["g","Finished",{"run":1}]\n',
        ]
    ),
)


@given(st.lists(hostile, max_size=6).map(b"".join), st.booleans())
def test_nothing_that_a_guest_writes_becomes_a_message_of_the_supervisor(data: bytes, raw: bool) -> None:
    pair = Pair(raw=raw)
    pair.say(Reset(request=1))
    pair.say(Execute(run=1, code=""))
    found: list[Message] = []
    try:
        for piece in pair.supervisor.relay(data):
            for message in pair.host.receive_data(piece):
                found.append(message)
    except ProtocolViolation:
        pass
    assert {type(message) for message in found} <= {Output, Finished}


@given(st.binary(max_size=200), st.booleans())
def test_a_host_that_gets_garbage_understands_it_or_refuses_it(data: bytes, after_start: bool) -> None:
    host = Pair().host if after_start else HostConnection()
    try:
        list(host.receive_data(data))
    except ProtocolViolation:
        return


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 4000)), max_size=5), st.data())
def test_a_stream_cut_anywhere_goes_on_exactly_where_it_was(
    cuts: list[tuple[int, int]], data: st.DataObject
) -> None:
    pair = Pair(raw=False, resume=True)
    pair.say(Execute(run=1, code=""))
    down, up = bytearray(), bytearray()  # what is on its way
    for at, (cut_up, cut_down) in enumerate([*cuts, (10**9, 10**9)]):
        for number in range(3):
            text = f"{at}.{number}"
            blob = pair.guest.send(Output(stream="stdout", text=text, blobs=(text.encode() * 50,)))
            up += b"".join(pair.supervisor.relay(blob))
            down += pair.host.send(Reset(request=100 + at * 3 + number))
        _deliver(pair, bytes(up[:cut_up]), bytes(down[:cut_down]))
        if at < len(cuts):
            up, down = bytearray(b"torn [rest" * data.draw(st.integers(0, 2))), bytearray(pair.host.resume())
            _deliver_resume(pair, up, down)
            up, down = bytearray(), bytearray()
    texts = [m.text for m in pair_seen(pair) if isinstance(m, Output)]
    pings = [m.request for m in pair_box(pair) if isinstance(m, Reset)]
    total = 3 * (len(cuts) + 1)
    assert texts == [f"{i // 3}.{i % 3}" for i in range(total)]
    assert pings == [100 + i for i in range(total)]


def _deliver(pair: Pair, up: bytes, down: bytes) -> None:
    pair_box(pair).extend(pair.to_box(down))
    pair_seen(pair).extend(pair.to_host([up]))


def _deliver_resume(pair: Pair, up: bytearray, down: bytearray) -> None:
    pair_box(pair).extend(pair.to_box(bytes(down)))
    up += pair.supervisor.take_reply()
    pair_seen(pair).extend(pair.to_host([bytes(up[i : i + 7]) for i in range(0, len(up), 7)]))
    pair_box(pair).extend(pair.to_box(pair.host.take_reply()))


def pair_seen(pair: Pair) -> list[Message]:
    return pair.__dict__.setdefault("seen", [])


def pair_box(pair: Pair) -> list[Message]:
    return pair.__dict__.setdefault("box", [])


def test_what_is_kept_for_a_resend_is_bounded_by_acknowledgements() -> None:
    pair = Pair(raw=False, resume=True)
    pair.say(Execute(run=1, code=""))
    for _ in range(100):
        pair.guest_says(Output(stream="stdout", text="x" * 200_000))
        pair.to_box(pair.host.take_reply())
        assert not pair.supervisor.is_full


def test_without_acknowledgements_the_supervisor_is_full_and_says_so() -> None:
    pair = Pair(raw=False, resume=True)
    pair.say(Execute(run=1, code=""))
    for _ in range(60):
        pair.guest_says(Output(stream="stdout", text="x" * 200_000))
    assert pair.supervisor.is_full


def test_a_supervisor_takes_one_init_first() -> None:
    for said in (GrantTools(request=1, tools={}), Reset(request=1)):
        pair = Pair()
        with pytest.raises(ProtocolViolation, match="first message is Init"):
            list(
                SupervisorConnection().receive_data(
                    pair.host.send(said).replace(b",2,", b",1,", 1).replace(b",2,", b",0,", 1)
                )
            )

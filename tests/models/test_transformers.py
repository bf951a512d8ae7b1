"""TransformersModel with a tiny model of random weights, made here; its text is noise, its plumbing is real."""

from __future__ import annotations

import pytest

from pinjra.models.base import ChatMessage, ModelDelta
from pinjra.models.errors import RequestRefused
from pinjra.models.transformers import TransformersModel

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'pinjra[transformers]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% if not loop.last %}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}</s><assistant>{% endif %}"
)
ASK = [ChatMessage(role="user", content="hello")]


@pytest.fixture(scope="module")
def model():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = {chr(code): code - 32 for code in range(32, 127)}
    vocabulary = {**letters, "</s>": 95}
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    plain.decoder = decoders.Fuse()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="</s>", pad_token="</s>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    configuration = transformers.LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        eos_token_id=95,
        pad_token_id=95,
    )
    network = transformers.LlamaForCausalLM(configuration).eval()
    return TransformersModel("tiny", model=network, tokenizer=tokenizer, max_new_tokens=24)


def test_a_stream_brings_pieces_and_then_the_whole_with_its_tokens(model):
    *deltas, done = model.stream(ASK)
    assert all(isinstance(d, ModelDelta) for d in deltas)
    assert "".join(d.text for d in deltas) == done.text
    assert done.text
    assert done.usage.input_tokens == len("<user>hello") + 1 + len("<assistant>")
    assert 0 < done.usage.output_tokens <= 24
    assert model.generate(ASK) == done


def test_generation_stops_at_a_stop_sequence(model):
    whole = model.generate(ASK).text
    mark = whole[3:5]
    done = model.generate(ASK, stop=[mark])
    assert done.text == whole[: whole.index(mark)]
    assert done.finish_reason == "stop"


def test_a_begun_reply_is_continued(model):
    done = model.generate([*ASK, ChatMessage(role="assistant", content="ab")])
    assert done.usage.input_tokens == len("<user>hello") + 1 + len("<assistant>ab")


def test_an_abandoned_stream_leaves_the_model_usable(model):
    items = model.stream(ASK)
    next(items)
    items.close()
    assert model.generate(ASK).text


def test_images_are_refused(model):
    with pytest.raises(RequestRefused, match="reads text only"):
        model.generate([ChatMessage(role="user", content="?", images=(b"\x89PNG",))])


def test_a_template_that_refuses_the_messages_is_the_callers_fault(model):
    before = model._tokenizer.chat_template
    model._tokenizer.chat_template = "{{ raise_exception('no system turns') }}"
    try:
        with pytest.raises(RequestRefused, match="the chat template refuses the messages: no system turns"):
            model.generate(ASK)
    finally:
        model._tokenizer.chat_template = before

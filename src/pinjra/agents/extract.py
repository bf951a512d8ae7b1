"""Model text -> the code to run and the thought before it; where there is none, the words that tell the model what to write."""

from __future__ import annotations

from pinjra.agents.errors import AgentParsingError
from pinjra.models import code_text
from pinjra.models.code_text import MARKDOWN_TAGS, Action
from pinjra.models.errors import CompletionInvalid


def extract_code(text: str, tags: tuple[str, str] = MARKDOWN_TAGS, *, structured: bool = False) -> Action:
    """Return the code of a model's text; several blocks are joined in their order.

    Args:
        tags: The agent's own opening and closing tag, tried first.
        structured: The text was asked for as a JSON object {"thought", "code"}; whatever else holds code is taken too.

    Raises:
        AgentParsingError: There is no code, too much text, or a notebook's command; the message tells the model what to do.
    """
    find = code_text.structured_action if structured else code_text.action
    try:
        return find(text, tags)
    except CompletionInvalid as error:
        raise AgentParsingError(str(error)) from None

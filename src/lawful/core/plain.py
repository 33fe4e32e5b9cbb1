"""Text for a terminal: what a cell, a name or a header holds never moves the cursor, rings, colours or hides."""

from __future__ import annotations

import re

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]")
"""Signs that a terminal obeys: controls but tabs and new lines, and those that turn the direction of text."""

PICTURES = 0x2400
"""Where Unicode has pictures of the control characters, in their order."""


def visible(text: str) -> str:
    r"""
    Return a text in which every sign that a terminal would obey is a picture of it, one for one.

    Examples
    --------
    >>> visible("loss\x1b[31m\x07"), visible("a\tb\nc"), visible("\x9b2J\u202egnp")
    ('loss␛[31m␇', 'a\tb\nc', '�2J�gnp')
    """
    return CONTROL.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < ord(" "):
        return chr(PICTURES + code)
    return "\u2421" if code == ord("\x7f") else "\ufffd"

"""What a page carries inside it: the drawing library, and data as JSON that HTML cannot misread."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from lawful.show.files.document import strict

LIBRARY = ("d3.min.js", "plot.umd.min.js")
"""Observable Plot and the D3 it needs, in the order in which they load."""


def library() -> str:
    """Return the drawing library as JavaScript, about half a megabyte."""
    return "\n".join(asset(name) for name in LIBRARY)


def asset(name: str) -> str:
    """Return a file of ``show/assets`` as text."""
    return files("lawful.show").joinpath("assets", name).read_text(encoding="utf-8")


def policy(*scripts: str) -> str:
    """
    Return the content security policy of a page: it asks nothing of any network, and runs these scripts alone.

    Parameters
    ----------
    *scripts : str
        Each script as it stands between its tags.

    Returns
    -------
    str
        What ``Content-Security-Policy`` takes. Styles may stand in the page, drawings in it or made by it.

    Examples
    --------
    >>> policy("1+1").split("; ")[:2]
    ["default-src 'none'", "script-src 'sha256-Shsh2HauAMjtXE0c3gnGH4phtQ/jcKgBsQwzmDHzcKs='"]
    """
    hashes = " ".join(f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in scripts)
    allowed = ("default-src 'none'", f"script-src {hashes or repr('none')}", "style-src 'unsafe-inline'")
    return "; ".join([*allowed, "img-src data: blob:", "base-uri 'none'", "form-action 'none'"])


def page_json(document: Mapping[str, Any]) -> str:
    r"""
    Return a document as JSON for the inside of a ``<script type="application/json">``.

    Nothing in the user's data can end the element: the signs with a meaning in HTML are
    written as escapes that JSON reads back as themselves.

    Examples
    --------
    >>> page_json({"run": "</script><b>", "loss": 2.5})
    '{"run":"\\u003c/script\\u003e\\u003cb\\u003e","loss":2.5}'
    """
    text = json.dumps(strict(document), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text

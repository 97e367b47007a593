"""The template tags of cacheops 7.2 on Django 6.1, whose `parse_bits` no longer takes the context's parameter away."""

from __future__ import annotations

import inspect
from typing import Any

from django.template import library

_parse_bits = library.parse_bits


def install() -> None:
    if "takes_context" in inspect.signature(_parse_bits).parameters:
        return
    from cacheops.templatetags import cacheops

    cacheops.parse_bits = parse_bits


def parse_bits(
    parser: Any,
    bits: list[str],
    params: list[str],
    varargs: str | None,
    varkw: str | None,
    defaults: tuple | None,
    kwonly: list[str],
    kwonly_defaults: dict | None,
    takes_context: bool,
    name: str,
) -> tuple[list, dict]:
    if takes_context:
        params = params[1:]
    return _parse_bits(parser, bits, params, varargs, varkw, defaults, kwonly, kwonly_defaults, name)

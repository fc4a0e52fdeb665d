"""Which pages still lack what reading.py asks for. Who brings a page up to a rule takes it off here.

A page that is listed and lacks nothing is an offence too, so that no list outlives its reason.
"""

from __future__ import annotations

_LATER = ("11",)
# Its cells can be split only when it is measured again, on a machine with nothing else to do.
_TIMED = ("12",)

TODO = {
    "turns": _LATER + _TIMED,  # a turn to take, each with its four parts
    "ending": _LATER,  # a summary of four lines, three questions
    "cells": _LATER + _TIMED,  # code cells of at most 25 lines, machinery hidden
    "numbers": _LATER,  # the text shows numbers, the comment holds the band
    "minutes": _LATER,  # to read: computed of words and lines of code
}

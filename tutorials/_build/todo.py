"""Which pages still lack what reading.py asks for. Who brings a page up to a rule takes it off here.

A page that is listed and lacks nothing is an offence too, so that no list outlives its reason.
"""

from __future__ import annotations

_LATER = ("02", "08", "09", "10", "11", "12", "13")

TODO = {
    "turns": ("00", "01", "03", *_LATER),  # a turn to take, each with its four parts
    "ending": ("00", "01", "03", *_LATER),  # a summary of four lines, three questions
    "cells": ("00", "01", "03", *_LATER),  # code cells of at most 25 lines, machinery hidden
    "numbers": ("00", "01", "03", *_LATER),  # the text shows numbers, the comment holds the band
    "minutes": ("03", *_LATER),  # to read: computed of words and lines of code
}

"""Graders that can be trusted: student's code in a process of its own, verdicts outside of it."""

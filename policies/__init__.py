"""The policy pack: what every stack keeps to, whichever program made it.

The rules are plain functions over plain values (`rules/`); `judging.py` runs them over a stack, `pack.py` hands them to
Pulumi, `exceptions.yaml` holds what is let through, by whom and until when.
"""

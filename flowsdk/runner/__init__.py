"""Running flow files from Python: ``Runner``, ``NBRunner`` and what they return.

A flow file is always run by a process of its own, as ``python flow.py`` would be: nothing of the
flow is imported here, so any number of them, in any state, can be run from one process.
"""

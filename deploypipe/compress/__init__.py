"""Compression of a model before it is lowered: from a module to a smaller or a sturdier module.

Nothing here knows a runtime. Every function leaves the module that it is given as it is, and torch's global random
state too.
"""

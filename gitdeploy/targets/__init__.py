"""Where releases run, one folder per kind of target: how a release takes over there, and how a crash is put right.

May import releases, engine, terminal and config.
"""

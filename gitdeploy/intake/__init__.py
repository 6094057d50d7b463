"""What happens between a push and a worker: push records, the spool, the choice among them, pushers' consoles, refs that moved.

May import releases, terminal and config.
"""

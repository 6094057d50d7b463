"""One deployment from commit to release, step by step: verify, check out, build, publish, judge, roll out.

May import targets, releases, engine, source, terminal and config; it knows nothing of workers and spools.
"""

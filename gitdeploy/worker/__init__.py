"""Who does the work: the supervisor, one worker per app, its attempts, the watcher of refs, what follows an end.

May import every room but the command line's.
"""

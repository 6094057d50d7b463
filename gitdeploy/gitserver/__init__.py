"""Where Gogs, Gitea and bare repositories keep things; putting the hook into a repository, and taking it out again.

May import config, and of source the description of an LFS store.
"""

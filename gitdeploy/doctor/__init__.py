"""What is wrong with an installation, and how to put it right: one file per kind of thing that is examined.

May import everything below the command line but workers and pipelines.
"""

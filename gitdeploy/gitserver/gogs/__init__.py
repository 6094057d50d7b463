"""What is Gogs' own: its places and tables.

May import the Protocol that it fulfils, and what that is made of.
"""

"""What is Gitea's and Forgejo's own: their places and tables.

May import the Protocol that it fulfils, and what that is made of.
"""

"""What people are shown: the console and log of a deployment, the pusher's end of it, and texts without secrets or escapes.

May import config.
"""

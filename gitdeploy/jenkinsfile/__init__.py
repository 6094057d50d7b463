"""A Jenkins pipeline as an app's table of config.toml. Pure.

May import config and what is pure of engine.
"""

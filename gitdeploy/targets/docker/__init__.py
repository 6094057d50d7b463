"""One Docker Engine as a target: strategies (`rollout`), the router in front of an app (`router`), health, and what is whose.

May import releases, engine, terminal and config.
"""

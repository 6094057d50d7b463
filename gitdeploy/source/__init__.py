"""Git repositories as deployments read them, and the process without rights that does it: commits, trees, the build context.

May import nothing of gitdeploy but errors.
"""

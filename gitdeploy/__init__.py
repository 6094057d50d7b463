"""gitdeploy: a `git push` to Gogs builds, pushes and redeploys. The data path: `gitdeploy.pipeline.deployment`."""

__version__ = "0.1.0"

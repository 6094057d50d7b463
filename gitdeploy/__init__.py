"""gitdeploy: a `git push` to Gogs builds, pushes and redeploys. See README.md; `gitdeploy.deploy` is the data path."""

__version__ = "0.1.0"

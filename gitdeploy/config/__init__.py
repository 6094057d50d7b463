"""The configuration: every key in one table, how files become the model, who may set what; grammars of names and images.

May import nothing of gitdeploy but errors. Pure, but for the modules that read files.
"""

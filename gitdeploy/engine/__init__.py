"""The Docker Engine: the only importer of docker. What others see of it is `engine.protocol` and `engine.types`.

May import config's model and grammars.
"""

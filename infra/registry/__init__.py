"""The model registry as a person and the CLI use it: scaffold, pack, push, list, show.

Layout in the registry bucket (design §5): models/<model>/<version>/{model.tar.gz, card.json}, each written once.
"""

"""A package of ours, found before any other of this name: some packages install their tests under it."""

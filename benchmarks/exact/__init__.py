"""The exact bench: every registered view and policy loss against the true policy gradient, by enumeration.

Toy models that are small enough to enumerate all that can happen run through the library's own strategies, views, packs,
likelihood, policy losses and attention. Only the enumeration and the toy network are written here.

    PYTHONPATH=src python -m benchmarks.exact                   # prints the table
    PYTHONPATH=src python -m benchmarks.exact --write docs/methods.md
"""

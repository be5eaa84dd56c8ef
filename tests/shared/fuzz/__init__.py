"""Valid calls of every public function, a module of tables for each few packages.

A table module has `CALLS`, cases by package, and `ABSTRACT`, public names by package that are of no use
without a subclass, or no function of values. `test_fuzz` takes all modules beside `harness`.
"""

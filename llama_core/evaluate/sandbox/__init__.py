"""Programs that a model has written, each run in a process of its own that can reach nothing.

`programs` is what the benchmarks call. It starts `jail` for each program, a small program of its own that
enters namespaces (`namespaces`), gives rights up (`confine`), becomes the program and watches over it. These
three import nothing but the standard library, because they are started for each program anew.
"""

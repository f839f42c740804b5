"""The network (IR): typed operators, units, shapes, and what follows from them.

Nothing here knows the syntax of `.resnet` files, and nothing imports torch or onnx.
"""

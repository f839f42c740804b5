"""The grammars of resdsl, as package data: `resnet.lark`."""

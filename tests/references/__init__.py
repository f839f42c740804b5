"""Hand-written PyTorch reference networks: numeric oracles, one plain module per topology of the papers.

Sources: He et al. 2015, "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), and
He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027).

Parameters and buffers are registered in execution order: stem, stages, head; inside a unit the branch (its
leading BN first), then the shortcut, then what follows the addition. Weights can be carried over by position.
The weights are PyTorch's defaults, not He's initialisation.
"""

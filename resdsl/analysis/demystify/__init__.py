"""The figures of Li et al. 2016, Demystifying ResNet, computed again."""

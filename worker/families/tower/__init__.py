"""Two embeddings, a merge and dense layers: the architectures of 2020."""

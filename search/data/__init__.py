"""Data: Arrow in, splits and nested subsamples by content, preparation, tensors out."""

from search.data.dataset import DataOptions, Dataset, load_dataset, prepare_dataset

__all__ = ["DataOptions", "Dataset", "load_dataset", "prepare_dataset"]

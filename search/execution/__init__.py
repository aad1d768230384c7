"""Machinery: the only place that knows Ray. It carries out what ``search.strategy`` decides."""

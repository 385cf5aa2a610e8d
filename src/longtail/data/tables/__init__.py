"""Tables: read from files or frames, their label found, their columns prepared by what the training rows say."""

from longtail.data.tables.columns import Column, column
from longtail.data.tables.pooling import table_pool
from longtail.data.tables.preparation import TablePreparation
from longtail.data.tables.read import Reading, read_table
from longtail.data.tables.sources import is_table
from longtail.data.tables.table import Table

__all__ = ["Column", "Reading", "Table", "TablePreparation", "column", "is_table", "read_table", "table_pool"]

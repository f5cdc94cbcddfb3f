"""Dataset files: CSV, JSON Lines and Parquet read into Arrow tables, Parquet written; shared by the components."""

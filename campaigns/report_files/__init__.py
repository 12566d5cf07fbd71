"""Reports on campaigns as XLSX and CSV files that a worker prepares in parts."""

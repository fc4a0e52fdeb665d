"""The tutorial builder: cells.py reads, execute.py runs, rules.py checks, site.py renders."""

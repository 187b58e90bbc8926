"""The site: its pages, the measured data behind them, and what makes the one of the other.

::

    experiments/*.toml --measure--> data/measured --+
            |                                       +--> evidence --> charts, numbers --> pages
            +---------predict, at each build--------+
"""

"""``python -m sim check``: a linter of configurations whose findings are predictions.

::

    gunicorn.conf.py, flags --> subject --rules--> effects --predictions--> findings --> report
"""

"""Questions that take many predictions: which setting to take, and how results depend on settings.

::

    question, known ──► plan ──► Trials ──► executor ──► Observations ──► known
                 └────► conclude ──► Answer ──► report, document, file

`plan` and `conclude` are pure functions of what is known so far. So a study stops and goes on at
any point, on any `concurrent.futures` executor, and ends with the same answer.
"""

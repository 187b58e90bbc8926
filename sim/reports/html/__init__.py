"""Reports as one HTML file that needs nothing else: ``--report``.

::

    summary, study --one module a command--> page: sections, tables, figures --render--> HTML

A page is plain data. Only `sim.reports.html.render` knows the template, and only
`sim.reports.html.drawing` knows how a figure is drawn.
"""

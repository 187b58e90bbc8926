"""Reports as one HTML file that needs nothing else: ``--report``.

::

    summary, study --one module a command--> page: sections, tables, figures --render--> HTML

A command adds the flag (`sim.reports.output.add_report_argument`), asks for its path before the
work (`report_path`), and writes its page after what it prints (`write_page`). A module of its own
says what the page shows, such as `sim.study.compare_page`.

A page is plain data. Only `sim.reports.html.render` knows the template, and only
`sim.reports.html.drawing` knows how a figure is drawn.
"""

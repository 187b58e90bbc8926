"""The real service with LaunchDarkly, and the rig that measures it on real Gunicorn.

The service can be used alone (`gunicorn --config reference_app/gunicorn.conf.py
reference_app.app:app`):

- `app` answers requests with Flask, `asgi_app` with Starlette; both do what `service` says.
  `flags` says which flag service its SDK talks to, and `gunicorn.conf.py` is its production
  configuration.
- `flag_service` is a local stand-in for LaunchDarkly's servers, with the flags of `flag_data`;
  `flag_process` starts it.

The rig starts the same service under a `sim.experiment.Experiment`:

- `server` starts and ends Gunicorn, `rig_config` is what the rig adds to Gunicorn's
  configuration, and `gunicorn_log` reads its log.
"""

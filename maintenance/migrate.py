"""Flask-Migrate. It is not in extensions.py, because it loads Alembic, which a web server does not need."""

from flask_migrate import Migrate

migrate = Migrate(render_as_batch=True)

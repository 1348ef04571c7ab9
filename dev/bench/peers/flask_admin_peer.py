"""Flask-Admin on the peers' database: the list of what waits, its search, and the form that accepts a project."""

import os
import secrets
from datetime import UTC, datetime
from typing import Any

from flask import Flask, redirect
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_admin.form import SecureForm
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event, func
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.wrappers import Response

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['PEERS_DATABASE']}"
app.config["SECRET_KEY"] = secrets.token_hex()
db = SQLAlchemy(app)
login_manager = LoginManager(app)


@event.listens_for(Engine, "connect")
def _set_up_connection(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "busy_timeout=15000", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


class User(UserMixin, db.Model):
    __tablename__ = "auth_user"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column()


class Project(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column()
    city: Mapped[str] = mapped_column()
    state: Mapped[str] = mapped_column()
    status: Mapped[str] = mapped_column()
    sender: Mapped[str] = mapped_column()
    sent_at: Mapped[datetime | None] = mapped_column()
    search_text: Mapped[str] = mapped_column()
    job_number: Mapped[str] = mapped_column()


class Change(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column()
    user_id: Mapped[int] = mapped_column()
    at: Mapped[datetime] = mapped_column()
    status: Mapped[str] = mapped_column()


class Waiting(ModelView):
    form_base_class = SecureForm
    form_columns = ("number", "name", "status", "job_number")
    column_list = ("number", "name", "city", "state", "sender", "sent_at", "status")
    column_searchable_list = ("search_text",)
    column_default_sort = [("sent_at", False), ("id", False)]
    page_size = 50

    def is_accessible(self) -> bool:
        return bool(current_user.is_authenticated)

    def get_query(self) -> Any:
        return super().get_query().filter(Project.status == "Ready to Export")

    def get_count_query(self) -> Any:
        return db.session.query(func.count(Project.id)).filter(Project.status == "Ready to Export")

    def on_model_change(self, form: Any, model: Project, is_created: bool) -> None:  # noqa: ARG002
        db.session.add(
            Change(project_id=model.id, user_id=int(current_user.id), at=datetime.now(UTC), status=model.status)
        )


@login_manager.user_loader
def _user(user: str) -> User | None:
    return db.session.get(User, int(user))


@app.get("/sign-in")
def sign_in() -> Response:
    login_user(db.session.get(User, 1))
    return redirect("/admin/project/")


Admin(app, name="Peer").add_view(Waiting(Project, db.session, endpoint="project"))

"""Django admin on the peers' database: the list of what waits, its search, and the form that accepts a project."""

import os
import secrets
from typing import Any

import django
from django.conf import settings

PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL;"
DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["PEERS_DATABASE"], "CONN_MAX_AGE": None}
OPTIONS = {"init_command": PRAGMAS, "transaction_mode": "IMMEDIATE", "timeout": 15}
CONTRIB = ("auth", "contenttypes", "sessions", "messages", "admin.apps.SimpleAdminConfig")
PROCESSORS = ("django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
              "django.contrib.messages.context_processors.messages")  # fmt: skip
MIDDLEWARE = ("middleware.security.SecurityMiddleware", "contrib.sessions.middleware.SessionMiddleware",
              "middleware.common.CommonMiddleware", "middleware.csrf.CsrfViewMiddleware",
              "contrib.auth.middleware.AuthenticationMiddleware", "contrib.messages.middleware.MessageMiddleware",
              "middleware.clickjacking.XFrameOptionsMiddleware")  # fmt: skip
settings.configure(
    SECRET_KEY=secrets.token_hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": DATABASE | {"OPTIONS": OPTIONS}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=[*(f"django.contrib.{each}" for each in CONTRIB), __name__],
    MIDDLEWARE=[f"django.{each}" for each in MIDDLEWARE],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": PROCESSORS},
        }
    ],
    STATIC_URL="/static/",
    USE_TZ=True,
)
django.setup()

from django.contrib import admin, auth  # noqa: E402 - they need the settings
from django.core.management import execute_from_command_line  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.http import HttpRequest, HttpResponseRedirect  # noqa: E402
from django.urls import path  # noqa: E402


class Project(models.Model):
    number = models.CharField(max_length=30, unique=True)
    name = models.CharField(max_length=120)
    city = models.CharField(max_length=60)
    state = models.CharField(max_length=30)
    status = models.CharField(max_length=30)
    sender = models.CharField(max_length=120)
    sent_at = models.DateTimeField(null=True)
    search_text = models.TextField()
    job_number = models.CharField(max_length=10)

    class Meta:
        app_label = __name__
        managed = False
        db_table = "project"

    def __str__(self) -> str:
        return self.number


@admin.register(Project)
class Waiting(admin.ModelAdmin):
    fields = ("number", "name", "status", "job_number")
    list_display = ("number", "name", "city", "state", "sender", "sent_at", "status")
    search_fields = ("search_text",)
    ordering = ("sent_at", "id")
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(status="Ready to Export")


def sign_in(request: HttpRequest) -> HttpResponseRedirect:
    auth.login(request, auth.get_user_model().objects.get(pk=1))
    return HttpResponseRedirect("/admin/")


urlpatterns = [path("sign-in", sign_in), path("admin/", admin.site.urls)]
app = get_wsgi_application()


def create() -> None:
    execute_from_command_line(["manage", "migrate", "--verbosity", "0"])
    auth.get_user_model().objects.create_superuser("dana")

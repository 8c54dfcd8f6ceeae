#!/usr/bin/env python3
"""The smallest Django application that rates reviews: python reviews.py runserver.

It takes a review by POST, asks `reviewrate serve` and shows label and rating. REVIEWRATE_URL says where that is
(default: http://127.0.0.1:8080), REVIEWRATE_API_KEY which key it wants. Needs Django and requests.
"""

import os
import sys

import requests
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_http_methods

settings.configure(
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY") or os.urandom(32).hex(),
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Reviews</title>
<form method="post">{% csrf_token %}<label for="review">Review</label><br>
<textarea id="review" name="review" rows="8" cols="70" required>{{ review }}</textarea><br>
<button>Rate it</button></form>
{% if answer %}<p id="result">{{ answer.label }}, {{ answer.rating }} of 10</p>{% endif %}
{% if problem %}<p id="problem" role="alert">{{ problem }}</p>{% endif %}</html>"""

SESSION = requests.Session()  # keeps its connection to the server


class Unavailable(Exception):
    """There is no answer now; the message is for the reader of the page."""


def make_predictions(review: str) -> dict[str, object]:
    """The record of `review`, as `reviewrate classify` writes it. Raises Unavailable."""
    key = os.environ.get("REVIEWRATE_API_KEY")
    try:
        response = SESSION.post(
            os.environ.get("REVIEWRATE_URL", "http://127.0.0.1:8080") + "/classify",
            json={"text": review},
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=(3, 60),
        )
        if response.status_code in (429, 503):
            wait = response.headers.get("Retry-After", "5")
            raise Unavailable(f"Too many reviews are waiting. Try again in {wait} s.")
        answer: dict[str, object] = response.json()  # unless something between here and the server has answered
        if response.status_code != 200:
            raise Unavailable(f"This review cannot be rated: {answer['error']}.")
    except (requests.RequestException, KeyError, TypeError) as error:
        raise Unavailable("Reviews cannot be rated at the moment.") from error
    return answer


@require_http_methods(["GET", "POST"])
def rate(request: HttpRequest) -> HttpResponse:
    """The form, and below it what the model says of the review that came with it."""
    context: dict[str, object] = {"review": request.POST.get("review", "")}
    status = 200
    if request.method == "POST":
        try:
            context["answer"] = make_predictions(request.POST.get("review", ""))
        except Unavailable as unavailable:
            context["problem"], status = str(unavailable), 503
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request), status=status)


urlpatterns = [path("", rate)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)

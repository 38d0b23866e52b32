"""The routes of the service: /v1/..., health, metrics, OpenAPI and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from deeplens_dof import __version__
from deeplens_dof.photo.codecs.formats import SIGNATURES
from deeplens_dof.serve import problems, worker
from deeplens_dof.serve.access import Access, Guard
from deeplens_dof.serve.docs_page import STYLE, docs_page
from deeplens_dof.serve.limits import ServiceLimits
from deeplens_dof.serve.openapi import (
    EVERYWHERE,
    PHOTO_FORM,
    PNG_BODY,
    SentPhoto,
    Setting,
    describe,
    operation_id,
    picture_responses,
)
from deeplens_dof.serve.problems import Problem, invalid_parameters, problem_responses
from deeplens_dof.serve.query import BlurQuery, Rendering, describe_settings, settings_as_shot, settings_from
from deeplens_dof.serve.service import Service
from deeplens_dof.serve.telemetry import Metrics

PAGE = Path(__file__).parent / "page"
Size = Literal["preview", "full"]
api = APIRouter(prefix="/v1")


def create_app(limits: ServiceLimits | None = None, access: Access | None = None) -> FastAPI:
    """The ASGI application, which starts its workers at startup and stops them at shutdown.

    Args:
        limits: sizes, times and counts; None for the defaults.
        access: hosts and token; None allows this machine only, without a token.

    Returns:
        The FastAPI application.
    """
    limits, metrics = limits or ServiceLimits(), Metrics()

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(limits, metrics)
        watch = asyncio.create_task(service.watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await service.stop()

    app = FastAPI(
        title="DeepLens",
        version=__version__,
        description=_ABOUT,
        lifespan=alive,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    problems.install(app)
    app.include_router(api)
    app.include_router(health)
    for route in [*_page(), *_docs(app)]:
        app.router.routes.append(route)
    app.add_middleware(Guard, access=access or Access(), limits=limits, metrics=metrics)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


@api.post(
    "/photos",
    status_code=201,
    summary="Upload a photo and estimate its depth",
    response_model=SentPhoto,
    responses=problem_responses(*EVERYWHERE, 413, 415),
    openapi_extra=PHOTO_FORM,
)
async def send_photo(request: Request) -> dict[str, Any]:
    service = service_of(request)
    service.check_ready()
    file, depth, others = await _form(request)
    if others:
        name = next(iter(others))
        raise Problem(422, f"unknown form field {name!r}, expected file and depth")
    stored = await service.add_photo(request, file, depth)
    return stored.facts


@api.get(
    "/photos/{id}/blur",
    summary="The photo, refocused",
    responses=picture_responses("The picture, as `format` says.", "image/jpeg", "image/png", also=(404,)),
    response_class=Response,
)
async def get_blur(request: Request, id: str, query: Annotated[BlurQuery, Query()]) -> Response:
    settings, rendering = settings_from(query), _rendering(query)
    service = service_of(request)
    with service.store.use(id) as stored:
        settings = settings_as_shot(query, settings, stored.facts["f_number"])
        data, headers = await service.blur(request, stored, settings, rendering)
    return Response(data, media_type=f"image/{rendering['format']}", headers=headers)


@api.get(
    "/photos/{id}/depth",
    summary="The inverse depth as a 16-bit PNG, near is bright",
    responses=picture_responses("16-bit grey, near is bright.", "image/png", also=(404,)),
    response_class=Response,
)
async def get_depth(request: Request, id: str, size: Size = "full") -> Response:
    service = service_of(request)
    with service.store.use(id) as stored:
        data = await service.job(request, worker.depth_picture, stored.files, size, full=size == "full")
    return Response(data, media_type="image/png")


@api.put(
    "/photos/{id}/depth",
    status_code=204,
    summary="The repaired depth, as a 16-bit PNG of the photo's or the preview's size",
    responses=problem_responses(*EVERYWHERE, 404, 413, 415),
    openapi_extra=PNG_BODY,
)
async def put_depth(request: Request, id: str) -> Response:
    service = service_of(request)
    with service.store.use(id) as stored:
        if request.headers.get("content-type", "").startswith("multipart/"):
            file, _, _ = await _form(request)
            body = await file.read()
        else:
            body = await request.body()
        if not body.startswith(SIGNATURES["PNG"]):
            raise Problem(
                415, "the depth is not a PNG; send the 16-bit PNG from GET at this address, repaired"
            )
        await service.repair_depth(request, stored, body)
    return Response(status_code=204)


@api.get(
    "/photos/{id}/overlay",
    summary="The parts in focus under these settings, as a PNG: green sharp, blue nearer, red farther",
    responses=picture_responses("The picture in grey, tinted.", "image/png", also=(404,)),
    response_class=Response,
)
async def get_overlay(request: Request, id: str, query: Annotated[BlurQuery, Query()]) -> Response:
    settings, size = settings_from(query), query.size
    service = service_of(request)
    with service.store.use(id) as stored:
        settings = settings_as_shot(query, settings, stored.facts["f_number"])
        data = await service.job(request, worker.overlay, stored.files, settings, size, full=size == "full")
    return Response(data, media_type="image/png")


@api.get(
    "/photos/{id}/original",
    summary="The uploaded photo, upright",
    responses=picture_responses("The picture.", "image/jpeg", also=(404,)),
    response_class=Response,
)
async def get_original(request: Request, id: str, size: Size = "full") -> Response:
    service = service_of(request)
    with service.store.use(id) as stored:
        data = await service.job(request, worker.original, stored.files, size, full=size == "full")
    return Response(data, media_type="image/jpeg")


@api.get(
    "/photos/{id}",
    summary="What the upload answered, with the depth source as it is now",
    response_model=SentPhoto,
    responses=problem_responses(400, 401, 403, 404, 421, 422),
)
async def get_photo(request: Request, id: str) -> dict[str, Any]:
    with service_of(request).store.use(id) as stored:
        return stored.facts


@api.delete(
    "/photos/{id}",
    status_code=204,
    summary="Delete a photo",
    responses=problem_responses(400, 401, 403, 404, 421, 422),
)
async def delete_photo(request: Request, id: str) -> Response:
    store = service_of(request).store
    with store.use(id):
        pass
    store.delete(id)
    return Response(status_code=204)


@api.post(
    "/blur",
    summary="Upload and refocus in one request; settings as query or form fields",
    responses=picture_responses("The picture, as `format` says.", "image/jpeg", "image/png", also=(413, 415)),
    response_class=Response,
    openapi_extra=PHOTO_FORM,
)
async def blur_once(request: Request, query: Annotated[BlurQuery, Query()]) -> Response:
    service = service_of(request)
    service.check_ready()
    file, depth, others = await _form(request)
    try:
        query = BlurQuery.model_validate(query.model_dump(exclude_unset=True) | others)
    except ValidationError as error:
        raise invalid_parameters(error.errors()) from None
    settings, rendering = settings_from(query), _rendering(query)
    stored = await service.add_photo(request, file, depth)
    settings = settings_as_shot(query, settings, stored.facts["f_number"])
    try:
        data, headers = await service.blur(request, stored, settings, rendering)
    finally:
        service.store.delete(stored.id)
    return Response(data, media_type=f"image/{rendering['format']}", headers=headers)


@api.get("/limits", summary="Every limit of the service", responses=problem_responses(401, 403, 421))
async def get_limits(request: Request) -> dict[str, int]:
    return service_of(request).limits.as_dict()


@api.get(
    "/settings",
    summary="Every setting: help, unit, range, default",
    response_model=list[Setting],
    responses=problem_responses(401, 403, 421),
)
async def get_settings() -> list[dict[str, Any]]:
    return describe_settings()


health = APIRouter()


@health.get("/healthz", summary="Alive", responses=problem_responses(400, 403, 421))
async def alive() -> dict[str, str]:
    return {"status": "alive"}


@health.get(
    "/readyz",
    summary="Ready: weights loaded, kernels compiled",
    responses=problem_responses(400, 403, 421, 503),
)
async def ready(request: Request) -> dict[str, str]:
    service_of(request).check_ready()
    return {"status": "ready"}


@health.get(
    "/metrics",
    summary="Prometheus metrics",
    responses=problem_responses(401, 403, 421),
    response_class=Response,
)
async def metrics(request: Request) -> Response:
    service = service_of(request)
    service.metrics.photos.set(len(service.store.photos))
    service.metrics.bytes.set(service.store.bytes)
    return Response(service.metrics.as_text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _page() -> list[Route]:
    """One fixed route per file of the page: no request path is ever used as a file path."""

    def route(file: Path, path: str) -> Route:
        async def send(_: Request) -> Response:
            return FileResponse(file)

        return Route(path, send, methods=["GET"])

    files = [file for file in sorted(PAGE.rglob("*")) if file.is_file() and file.suffix != ".md"]
    return [
        route(PAGE / "index.html", "/"),
        *(route(file, f"/{file.relative_to(PAGE).as_posix()}") for file in files),
    ]


def _docs(app: FastAPI) -> list[Route]:
    """The description to read, and its style."""

    async def page(_: Request) -> Response:
        return HTMLResponse(docs_page(app.openapi()))

    async def style(_: Request) -> Response:
        return Response(STYLE, media_type="text/css")

    return [Route("/docs", page, methods=["GET"]), Route("/docs.css", style, methods=["GET"])]


async def _form(request: Request) -> tuple[UploadFile, UploadFile | str | None, dict[str, str]]:
    """The photo, the depth and the other fields of a multipart form. Raises Problem 415 or 422."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Problem(
            415, "the body is not a multipart form; send multipart/form-data with the photo as file"
        )
    try:
        form = await request.form(max_files=2, max_fields=32, max_part_size=10_000)
    except HTTPException as error:
        raise _form_problem(error) from error
    fields = form.multi_items()
    if len({name for name, _ in fields}) < len(fields):
        raise Problem(422, "a form field occurs twice; send each once")
    file, depth = form.get("file"), form.get("depth")
    if not isinstance(file, UploadFile):
        errors = [{"parameter": "file", "detail": "missing"}]
        raise Problem(422, "the form has no file; send the photo as the field 'file'", errors=errors)
    if isinstance(depth, str) and depth not in ("", "auto", "predict", "embedded"):
        raise Problem(422, f"depth is {depth[:40]!r}, expected a depth file, auto, predict or embedded")
    others = {name: value for name, value in fields if name not in ("file", "depth")}
    for name, value in others.items():
        if not isinstance(value, str):
            raise Problem(422, f"the form field {name!r} is a file, expected a value")
    return file, depth, {name: str(value) for name, value in others.items()}


def _form_problem(error: HTTPException) -> Problem:
    """What is wrong with a form that cannot be taken apart."""
    cause: BaseException | None = error
    while cause is not None:
        if "header" in str(cause).lower():
            return Problem(
                400,
                "the name of the file, or another header of a part, is longer than 4,096 bytes; shorten the name",
            )
        cause = cause.__cause__ or cause.__context__
    why = str(error.detail).rstrip(".")
    return Problem(
        error.status_code, f"the form cannot be read ({why}); send multipart/form-data with the photo as file"
    )


def _rendering(query: Any) -> dict[str, Any]:
    return {name: getattr(query, name) for name in Rendering.model_fields}


_ABOUT = """Shallow depth of field for one photo. Upload it once (`POST /v1/photos`), then refocus it as often as you like
(`GET /v1/photos/{id}/blur?focus=0.4,0.6&f_number=1.8`). Points are x,y from 0 to 1, from the top left of the upright picture.
Every error is `application/problem+json` (RFC 9457)."""

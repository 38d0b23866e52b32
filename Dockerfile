# DeepLens as a service and as a command, with HEIC, camera RAW and JPEG XL metadata. Everything is compiled while the image is
# built; it runs as a user without rights, and the root may be read-only with a /tmp in memory:
#   docker build -t deeplens .
#   docker run --read-only --tmpfs /tmp:size=3g -p 127.0.0.1:8000:8000 deeplens
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/photos" deeplens blur in.jpg -o out.jpg
# The extra heif brings libx265 (GPL-2); --build-arg EXTRAS=raw,jxl leaves it out, EXTRAS=heif,raw,jxl,openvino is faster.
FROM python:3.11-slim AS build
ARG EXTRAS=heif,raw,jxl
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN python -m venv /opt/deeplens && /opt/deeplens/bin/pip install --no-cache-dir ".[$EXTRAS]"

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin deeplens
COPY --from=build /opt/deeplens /opt/deeplens
COPY scripts/container /usr/local/bin/deeplens-container
ENV PATH=/opt/deeplens/bin:$PATH PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/tmp/numba HOME=/tmp
USER deeplens
RUN NUMBA_CACHE_DIR=/tmp/compiled deeplens doctor --warm
USER root
RUN mv /tmp/compiled /opt/compiled && chmod -R a+rX /opt/compiled && chmod a+rx /usr/local/bin/deeplens-container
USER deeplens
WORKDIR /photos
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=120s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["deeplens-container"]

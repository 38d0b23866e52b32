# DeepLens as a service. Everything is compiled while the image is built; it runs as a user without rights, and the root
# may be read-only with a /tmp in memory:
#   docker run --read-only --tmpfs /tmp:size=3g -p 127.0.0.1:8000:8000 deeplens
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN python -m venv /opt/deeplens && /opt/deeplens/bin/pip install --no-cache-dir .

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin deeplens
COPY --from=build /opt/deeplens /opt/deeplens
ENV PATH=/opt/deeplens/bin:$PATH PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/tmp/numba HOME=/tmp
USER deeplens
RUN NUMBA_CACHE_DIR=/tmp/compiled deeplens doctor --warm
USER root
RUN mv /tmp/compiled /opt/compiled && chmod -R a+rX /opt/compiled
USER deeplens
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=120s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# numba wants a folder that it may write to: the compiled loops are copied to where it looks for them
ENTRYPOINT ["sh", "-c", "cp -r /opt/compiled \"$NUMBA_CACHE_DIR\" && exec deeplens serve --host 0.0.0.0 \"$@\"", "deeplens"]

# docker build -t shelfwise .
# docker run --read-only --tmpfs /tmp -v shelfwise:/data -e SHELFWISE_API_KEY -p 8000:8000 shelfwise

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/build.txt requirements/serve.txt requirements/
# The tools that build stay in this stage; the program gets an environment without pip.
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && python -m venv --without-pip /opt/shelfwise \
    && pip --python /opt/shelfwise/bin/python install --no-cache-dir --require-hashes \
        -r requirements/serve.txt
COPY LICENSE README.md pyproject.toml ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/shelfwise/bin/python install --no-cache-dir --no-index --no-deps \
        dist/*.whl

FROM python:3.13-slim
COPY --from=build /opt/shelfwise /opt/shelfwise
RUN useradd --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin shelfwise \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
ENV PATH=/opt/shelfwise/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SHELFWISE_DATA_DIR=/data \
    SHELFWISE_LOG=json
USER 10001:10001
# The one place to write to. Large answers are spooled to /tmp, or here if that is read-only.
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["shelfwise", "serve", "--host", "0.0.0.0", "--port", "8000"]
